// One allocation: what it should do and what its process shows, to what it is called and what is done next.
import type { DesiredAllocation } from './order.ts';

export type Failure = 'create-failed' | 'gpu-in-use' | 'start-failed' | 'process-lost' | 'node-rebooted' | 'device-lost' | 'never-started';

export type AllocationStatus =
  | { readonly kind: 'preparing' }
  | { readonly kind: 'running'; readonly startedAtMs: number | undefined }
  | { readonly kind: 'stopping'; readonly startedAtMs: number | undefined }
  | { readonly kind: 'exited'; readonly exitCode: number; readonly startedAtMs: number | undefined; readonly endedAtMs: number }
  | { readonly kind: 'failed'; readonly failure: Failure; readonly detail: string };

export type ProcessFact =
  | { readonly kind: 'absent' }
  | { readonly kind: 'running'; readonly startedAtMs: number }
  | { readonly kind: 'exited'; readonly exitCode: number; readonly startedAtMs: number | undefined; readonly endedAtMs: number }
  | { readonly kind: 'lost'; readonly rebooted: boolean };

/** How the devices stand. */
export type DeviceFact =
  | {
      readonly kind: 'ready';
      readonly visible: readonly string[];
      /** What a process needs beside them to be held to its share. */
      readonly environment?: Readonly<Record<string, string>> | undefined;
    }
  | { readonly kind: 'coming' }
  | { readonly kind: 'failed'; readonly failure: Failure; readonly detail: string };

export type AllocationAction =
  | { readonly kind: 'none' }
  | { readonly kind: 'start'; readonly visible: readonly string[]; readonly environment: Readonly<Record<string, string>> }
  | { readonly kind: 'terminate' }
  | { readonly kind: 'kill' }
  | { readonly kind: 'clean-up' };

export interface AllocationStep {
  readonly status: AllocationStatus;
  readonly action: AllocationAction;
}

/**
 * @param verdict an end that was decided before and is kept; it never changes again.
 * @param stoppingForMs since the first SIGTERM; absent before it.
 */
export function stepAllocation(facts: {
  readonly intent: DesiredAllocation['intent'];
  readonly process: ProcessFact;
  readonly devices: DeviceFact;
  readonly verdict: AllocationStatus | undefined;
  readonly stoppingForMs: number | undefined;
  /** Processes of the allocation beside its supervisor that are left after the end. */
  readonly leftovers: boolean;
}): AllocationStep {
  const { intent, process, verdict } = facts;
  if (verdict !== undefined) return { status: verdict, action: { kind: 'none' } };
  switch (process.kind) {
    case 'exited':
      // The slice is free only when nothing of the allocation is left on it.
      if (facts.leftovers) return { status: { kind: 'stopping', startedAtMs: process.startedAtMs }, action: { kind: 'clean-up' } };
      return { status: process, action: { kind: 'none' } };
    case 'lost': {
      if (facts.leftovers) return { status: { kind: 'stopping', startedAtMs: undefined }, action: { kind: 'clean-up' } };
      return process.rebooted
        ? fail('node-rebooted', 'the node was rebooted under it')
        : fail('process-lost', 'its supervisor is gone and left no exit code');
    }
    case 'running':
      if (intent.kind === 'run') return { status: { kind: 'running', startedAtMs: process.startedAtMs }, action: { kind: 'none' } };
      return {
        status: { kind: 'stopping', startedAtMs: process.startedAtMs },
        action: stopAction(intent.graceSeconds, facts.stoppingForMs),
      };
    case 'absent':
      if (intent.kind === 'stop') return fail('never-started', 'it was stopped before it was started');
      return prepare(facts.devices);
    default:
      return process satisfies never;
  }
}

function stopAction(graceSeconds: number, stoppingForMs: number | undefined): AllocationAction {
  if (stoppingForMs === undefined) return { kind: 'terminate' };
  return stoppingForMs >= graceSeconds * 1000 ? { kind: 'kill' } : { kind: 'none' };
}

function prepare(devices: DeviceFact): AllocationStep {
  switch (devices.kind) {
    case 'ready':
      return {
        status: { kind: 'preparing' },
        action: { kind: 'start', visible: devices.visible, environment: devices.environment ?? {} },
      };
    case 'coming':
      return { status: { kind: 'preparing' }, action: { kind: 'none' } };
    case 'failed':
      return fail(devices.failure, devices.detail);
    default:
      return devices satisfies never;
  }
}

function fail(failure: Failure, detail: string): AllocationStep {
  return { status: { kind: 'failed', failure, detail }, action: { kind: 'none' } };
}
