// From how a device is to be shared and how it stands, the next single step. As with layouts: look, take one step, look again.
import type { DeviceCapacity } from './device-capacity.ts';
import type { Holder } from './holders.ts';
import { type MpsLimits, mpsLimitsOf, widest } from './mps-limits.ts';

/** Who may open contexts on a whole GPU; a slice has none of its own. */
export type ComputeMode = 'default' | 'exclusive-process' | 'prohibited';

/** A compute mode of our doing: what it was before, and what we made it. */
export interface ModeChanged {
  readonly before: ComputeMode;
  readonly set: ComputeMode;
}

export interface MpsServerNow {
  readonly pid: number;
  /** `unknown`: in words that are not understood. */
  readonly state: 'initializing' | 'active' | 'fault' | 'unknown';
  readonly clients: readonly number[];
}

export type MpsDaemonNow =
  | { readonly kind: 'absent' }
  /** It is gone, and left its directory; perhaps servers too, which are their pids. */
  | { readonly kind: 'dead'; readonly servers: readonly number[] }
  /** Its process is there, and its commands do not end or make no sense. */
  | { readonly kind: 'unanswering'; readonly detail: string }
  /** `limits` are what it and each of its servers grant; a part that could not be read, or in which they differ, is absent. */
  | { readonly kind: 'running'; readonly limits: Partial<MpsLimits>; readonly servers: readonly MpsServerNow[] };

/** What all who hold the device, or wait for it, want of it. */
export type SharingWish =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'alone' }
  | { readonly kind: 'exclusive-process' }
  | { readonly kind: 'time-sliced' }
  | { readonly kind: 'mps'; readonly limits: MpsLimits };

export interface SharingNow {
  readonly device: Pick<DeviceCapacity, 'cut'>;
  /** Absent on a slice, and where the driver does not say. */
  readonly mode: ComputeMode | undefined;
  readonly modeChanged: ModeChanged | undefined;
  readonly daemon: MpsDaemonNow;
  /** An allocation that has started and not ended holds the device. */
  readonly held: boolean;
  /** Processes on it that are neither those of the holders nor MPS's own. */
  readonly others: readonly string[];
}

export type SharingStep =
  | { readonly kind: 'set-compute-mode'; readonly mode: ComputeMode; readonly before: ComputeMode }
  /** The mode is what it was before, or a person has changed it since: it is none of ours any more. */
  | { readonly kind: 'forget-compute-mode' }
  | { readonly kind: 'start-mps' }
  | { readonly kind: 'set-mps-limits'; readonly limits: MpsLimits }
  | { readonly kind: 'stop-mps' }
  /** Takes away what a daemon that is gone has left. */
  | { readonly kind: 'clear-mps' };

export interface SharingOutlook {
  readonly step: SharingStep | undefined;
  /** An allocation may start. */
  readonly ready: boolean;
  /** What it waits for, where no step can be taken. */
  readonly obstacle: string | undefined;
  /** The obstacle is processes that no allocation explains. */
  readonly strangers: readonly string[];
}

/** The holders are known to want one thing, see `holdersFault`. */
export function wishOf(holders: readonly Holder[], device: DeviceCapacity): SharingWish {
  const limits = holders.flatMap(({ share }) => (share?.kind === 'mps' ? [mpsLimitsOf(share, device.memoryMiB)] : []));
  const widestLimits = widest(limits);
  if (widestLimits !== undefined) return { kind: 'mps', limits: widestLimits };
  const [first] = holders;
  if (first === undefined) return { kind: 'nothing' };
  return { kind: first.share?.kind === 'exclusive-process' || first.share?.kind === 'time-sliced' ? first.share.kind : 'alone' };
}

export function nextSharingStep(wish: SharingWish, now: SharingNow): SharingOutlook {
  const leaving = wish.kind === 'mps' ? undefined : leaveMps(now);
  if (now.device.cut && wish.kind === 'exclusive-process') return wait('a slice has no compute mode');
  return leaving ?? (now.device.cut ? undefined : modeStep(wish, now)) ?? (wish.kind === 'mps' ? mpsStep(wish.limits, now) : ready);
}

const ready: SharingOutlook = { step: undefined, ready: true, obstacle: undefined, strangers: [] };

function take(step: SharingStep): SharingOutlook {
  return { step, ready: false, obstacle: undefined, strangers: [] };
}

function wait(obstacle: string, strangers: readonly string[] = []): SharingOutlook {
  return { step: undefined, ready: false, obstacle, strangers };
}

/** A daemon goes only when nobody needs it and nobody is connected. */
function leaveMps({ daemon, held }: SharingNow): SharingOutlook | undefined {
  switch (daemon.kind) {
    case 'absent':
      return undefined;
    case 'dead':
      return daemon.servers.length > 0 && held ? wait(outlived(daemon.servers)) : take({ kind: 'clear-mps' });
    case 'unanswering':
      // With nobody of ours on the device, one that does not answer serves nobody: stopping it goes as far as its process.
      return held ? wait(daemon.detail) : take({ kind: 'stop-mps' });
    case 'running': {
      const clients = daemon.servers.flatMap((server) => server.clients);
      return clients.length > 0 ? wait(`MPS clients are still connected: ${clients.join(', ')}`) : take({ kind: 'stop-mps' });
    }
    default:
      return daemon satisfies never;
  }
}

function modeStep(wish: SharingWish, now: SharingNow): SharingOutlook | undefined {
  const { mode, modeChanged, others } = now;
  const isFree = wish.kind === 'nothing' || wish.kind === 'alone';
  const target = isFree ? modeChanged?.before : wish.kind === 'time-sliced' ? 'default' : 'exclusive-process';
  if (target === undefined) return undefined;
  if (mode === undefined)
    return wish.kind === 'exclusive-process' || modeChanged !== undefined
      ? wait('the driver does not say which compute mode the GPU is in')
      : undefined;
  if (mode === target) {
    return modeChanged !== undefined && (isFree || modeChanged.before === target) ? take({ kind: 'forget-compute-mode' }) : undefined;
  }
  if (isFree && mode !== modeChanged?.set) return take({ kind: 'forget-compute-mode' });
  if (mode === 'prohibited') return wait('the compute mode of the GPU is PROHIBITED; set it to DEFAULT to let anything compute there');
  if (others.length > 0) return wait(`the compute mode waits for ${others.join(', ')}`, others);
  return take({ kind: 'set-compute-mode', mode: target, before: modeChanged?.before ?? mode });
}

function mpsStep(limits: MpsLimits, { daemon, held }: SharingNow): SharingOutlook {
  switch (daemon.kind) {
    case 'absent':
      return take({ kind: 'start-mps' });
    case 'dead':
      return daemon.servers.length > 0 && held ? wait(outlived(daemon.servers)) : take({ kind: 'clear-mps' });
    case 'unanswering':
      return held ? wait(daemon.detail) : take({ kind: 'stop-mps' });
    case 'running':
      if (daemon.servers.some((server) => server.state === 'fault'))
        return wait('an MPS server has met a fatal fault, and its clients end');
      return sameLimits(limits, daemon.limits) ? ready : take({ kind: 'set-mps-limits', limits });
    default:
      return daemon satisfies never;
  }
}

function sameLimits(wanted: MpsLimits, granted: Partial<MpsLimits>): boolean {
  return wanted.threadPercentage === granted.threadPercentage && (wanted.memoryMiB === undefined || wanted.memoryMiB === granted.memoryMiB);
}

function outlived(servers: readonly number[]): string {
  return `the MPS server ${servers.join(', ')} has outlived its control daemon; a new one is started when the allocations on it have ended`;
}
