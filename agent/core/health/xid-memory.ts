// The Xids of one GPU that still mean something. Bounded, however many the driver logs.
import { isCatalogued, xidFacts } from './xid-catalog.ts';

export interface Xid {
  readonly code: number;
  /** As logged, shortened; may be empty. */
  readonly text: string;
  /** Absent when the driver did not know it. */
  readonly pid: number | undefined;
  readonly process: string | undefined;
  /** The GPU instance under MIG; absent for the GPU as a whole. */
  readonly gpuInstanceId: number | undefined;
}

export interface OpenXid {
  readonly code: number;
  readonly count: number;
  readonly firstMs: number;
  readonly lastMs: number;
  readonly last: Xid;
}

/** By code. */
export type XidMemory = ReadonlyMap<number, OpenXid>;

/** So many codes at most that are in no catalog: they must not take the place of those that mean something. */
const strangeCodesMax = 16;

/** How long after the last one an error of a program, or a warning, is still told. */
export const quietMs = { application: 10 * 60_000, warning: 60 * 60_000 } as const;

/** Takes one Xid of the moment `atMs`, which may be long ago. */
export function remember(memory: XidMemory, xid: Xid, atMs: number): XidMemory {
  const known = memory.get(xid.code);
  if (xidFacts(xid.code).xidClass === 'note') return memory;
  if (known === undefined && !isCatalogued(xid.code) && strangeCodes(memory) >= strangeCodesMax) return memory;
  const isLast = known === undefined || atMs >= known.lastMs;
  return new Map(memory).set(xid.code, {
    code: xid.code,
    count: (known?.count ?? 0) + 1,
    firstMs: Math.min(known?.firstMs ?? atMs, atMs),
    lastMs: Math.max(known?.lastMs ?? atMs, atMs),
    last: isLast ? xid : known.last,
  });
}

function strangeCodes(memory: XidMemory): number {
  return [...memory.keys()].filter((code) => !isCatalogued(code)).length;
}

/** What a reset at `atMs` leaves: what came after it. */
export function afterResetAt(memory: XidMemory, atMs: number): XidMemory {
  return keep(memory, (open) => open.lastMs > atMs);
}

/** Errors of programs and warnings pass; what asks for a reset or a reboot does not. */
export function withoutPassed(memory: XidMemory, nowMs: number): XidMemory {
  return keep(memory, ({ code, lastMs }) => {
    const { xidClass } = xidFacts(code);
    return xidClass === 'application' || xidClass === 'warning' ? nowMs - lastMs < quietMs[xidClass] : true;
  });
}

/** The driver has said for itself what is to be done, some time after `sinceMs`: our reading of older Xids ends. */
export function afterDriversWord(memory: XidMemory, sinceMs: number): XidMemory {
  return keep(memory, ({ code, lastMs }) => {
    const { xidClass } = xidFacts(code);
    return (xidClass !== 'needs-reset' && xidClass !== 'needs-reboot') || lastMs > sinceMs;
  });
}

function keep(memory: XidMemory, stays: (open: OpenXid) => boolean): XidMemory {
  const kept = [...memory].filter(([, open]) => stays(open));
  return kept.length === memory.size ? memory : new Map(kept);
}

/** The last ones first; three are named. The count is rough, so that a storm does not change the text all the time. */
export function describeXids(open: readonly OpenXid[]): string {
  const sorted = open.toSorted((a, b) => b.lastMs - a.lastMs || a.code - b.code);
  const named = sorted.slice(0, 3).map(({ code, count, last }) => {
    const who = last.process === undefined && last.pid === undefined ? '' : ` by ${last.process ?? 'process'} ${last.pid ?? ''}`.trimEnd();
    const where = last.gpuInstanceId === undefined ? '' : ` in GPU instance ${last.gpuInstanceId}`;
    return `Xid ${code}, ${xidFacts(code).text}${who}${where}${timesText(count)}`;
  });
  return sorted.length > named.length ? `${named.join('; ')}; and ${sorted.length - named.length} other codes` : named.join('; ');
}

function timesText(count: number): string {
  if (count === 1) return '';
  if (count < 10) return ` (${count} times)`;
  return ` (over ${10 ** Math.floor(Math.log10(count))} times)`.replace('over 10 ', '10 or more ');
}
