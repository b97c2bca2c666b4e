// From a wanted layout and one GPU as it is now, the next single step. The loop takes it, lists the GPU again and asks
// again, so that each step is decided on what the driver says and not on what the last one should have done.
import type { Layout } from '@astrago/shared/domain/mig/layout';
import { formatSlice, type LiveSlice, overlaps, sameSlice, type WantedSlice } from '@astrago/shared/domain/mig/slice';

export interface GpuNow {
  readonly migCapable: boolean;
  readonly migEnabled: boolean;
  readonly migPending: boolean | undefined;
  readonly slices: readonly LiveSlice[];
  readonly profiles: readonly { readonly name: string; readonly size: number }[];
}

/** Who uses what: from allocations that run and from processes that the driver lists. */
export interface GpuUse {
  /** Something holds the GPU as a whole, or somewhere unknown on it. */
  readonly whole: readonly string[];
  readonly byInstance: ReadonlyMap<number, readonly string[]>;
}

export type Step =
  | { readonly kind: 'set-mig-mode'; readonly enabled: boolean }
  | { readonly kind: 'reset' }
  | { readonly kind: 'destroy'; readonly slice: LiveSlice }
  | { readonly kind: 'create'; readonly slice: WantedSlice }
  | { readonly kind: 'complete'; readonly slice: LiveSlice };

export interface Outlook {
  /** Absent: nothing more to do, or nothing that may be done now. */
  readonly step: Step | undefined;
  /** What keeps the layout from being whole: the use that is in the way. */
  readonly blocked: readonly { readonly what: string; readonly users: readonly string[] }[];
  readonly converged: boolean;
}

const done: Outlook = { step: undefined, blocked: [], converged: true };

/**
 * @param givenUp wanted slices (`profile@start`) whose creation has failed for good; they are passed by.
 */
export function nextStep(wanted: Layout, gpu: GpuNow, use: GpuUse, givenUp: ReadonlySet<string>): Outlook {
  const mig = wanted.kind === 'mig';
  if (!mig && !gpu.migEnabled && gpu.migPending !== true) return done;
  if (mig && !gpu.migCapable) return { step: undefined, blocked: [], converged: false };
  if (mig === gpu.migEnabled && gpu.migPending === undefined) return mig ? sliceStep(wanted.slices, gpu, use, givenUp) : done;
  return modeStep(mig, gpu, use);
}

function modeStep(enable: boolean, gpu: GpuNow, use: GpuUse): Outlook {
  const users = [...use.whole, ...[...use.byInstance.values()].flat()];
  if (users.length > 0) return { step: undefined, blocked: [{ what: 'the MIG mode', users }], converged: false };
  const [slice] = gpu.slices;
  if (slice !== undefined && !enable) return { step: { kind: 'destroy', slice }, blocked: [], converged: false };
  if (gpu.migPending === enable && gpu.migEnabled !== enable) return { step: { kind: 'reset' }, blocked: [], converged: false };
  return { step: { kind: 'set-mig-mode', enabled: enable }, blocked: [], converged: false };
}

function sliceStep(wanted: readonly WantedSlice[], gpu: GpuNow, use: GpuUse, givenUp: ReadonlySet<string>): Outlook {
  const unwanted = gpu.slices.filter((slice) => !wanted.some((other) => sameSlice(other, slice)));
  const usersOf = (slice: LiveSlice): readonly string[] => [...(use.byInstance.get(slice.gpuInstanceId) ?? []), ...use.whole];
  const blocked = unwanted
    .filter((slice) => usersOf(slice).length > 0)
    .map((slice) => ({ what: formatSlice(slice), users: usersOf(slice) }));
  const destroy = unwanted.find((slice) => usersOf(slice).length === 0);
  if (destroy !== undefined) return { step: { kind: 'destroy', slice: destroy }, blocked, converged: false };

  const isWanted = (slice: LiveSlice): boolean => wanted.some((other) => sameSlice(other, slice));
  const incomplete = gpu.slices.find(
    (slice) => slice.computeInstanceId === undefined && isWanted(slice) && !givenUp.has(formatSlice(slice)),
  );
  if (incomplete !== undefined) return { step: { kind: 'complete', slice: incomplete }, blocked, converged: false };

  const missing = wanted.filter((slice) => !gpu.slices.some((other) => sameSlice(other, slice)));
  const create = missing.find((slice) => !givenUp.has(formatSlice(slice)) && isClear(slice, gpu));
  const step = create === undefined ? undefined : ({ kind: 'create', slice: create } as const);
  return {
    step,
    blocked,
    converged:
      missing.length === 0 &&
      unwanted.length === 0 &&
      wanted.every((slice) => gpu.slices.some((live) => sameSlice(live, slice) && live.computeInstanceId !== undefined)),
  };
}

function isClear(slice: WantedSlice, gpu: GpuNow): boolean {
  const size = gpu.profiles.find((profile) => profile.name === slice.profile)?.size ?? 1;
  return !gpu.slices.some((other) => overlaps({ start: slice.start, size }, other));
}

/** The live slices in the way of a wanted one. */
export function inTheWayOf(slice: WantedSlice, gpu: GpuNow): readonly LiveSlice[] {
  const size = gpu.profiles.find((profile) => profile.name === slice.profile)?.size ?? 1;
  return gpu.slices.filter((other) => !sameSlice(other, slice) && overlaps({ start: slice.start, size }, other));
}
