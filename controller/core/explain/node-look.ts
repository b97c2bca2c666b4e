// What one node has for an ask: how often it could take it, and why its other GPUs do not. Shares no code with the
// search for places, so that each checks the other.
import { freeStarts } from '@astrago/shared/domain/mig/arrange';
import type { MigGrid } from '@astrago/shared/domain/mig/grid';
import type { Profile } from '@astrago/shared/domain/mig/profile';
import { formatSlice, type WantedSlice } from '@astrago/shared/domain/mig/slice';
import { toleratesAll } from '../bays/pools.ts';
import type { GpuAsk } from '../cluster/records.ts';
import { shareMilli } from '../cluster/share.ts';
import type { WaitingReason } from '../reason.ts';
import { type GpuView, modelFits } from '../scheduling/gpu-view.ts';
import type { Ask } from '../scheduling/scheduler.ts';
import type { NodeView } from './node-view.ts';

export type Count = (reason: WaitingReason, by: number) => void;

/**
 * Tells `count` of every GPU of the node that the ask does not find room on, with why; of the node where the ask has no
 * GPU. The answer is how often the node could take the ask.
 */
export function lookAtNode(view: NodeView, ask: Ask, count: Count): number {
  const refusal = view.closed ?? nodeRefusal(view, ask);
  if (ask.ask.kind === 'none') {
    if (refusal === undefined) return copies(view, ask);
    count(refusal, 1);
    return 0;
  }
  let places = 0;
  for (const { model, views } of view.groups) {
    // What no change of the node's state would mend is told first.
    const never = modelFits(model, ask.model) ? neverOn(views, ask.ask) : 'NoSuchModel';
    if (never !== undefined) count(never, views.length);
    else if (refusal !== undefined) count(refusal, views.length);
    else places += lookAtGroup(views, ask.ask, count);
  }
  return places === 0 ? 0 : Math.min(places, copies(view, ask));
}

/** What keeps the ask off these GPUs for good. */
function neverOn(views: readonly GpuView[], ask: Exclude<GpuAsk, { kind: 'none' }>): WaitingReason | undefined {
  if (ask.kind === 'whole') return views.length < ask.count ? 'TooFewGpusOnNode' : undefined;
  if (ask.kind === 'share') return undefined;
  return views.every(({ grid }) => profilesFor(grid, ask).length === 0) ? 'NoSuchProfileOnModel' : undefined;
}

/** So many have the CPU and memory. */
function copies({ cpuMilli, memoryMiB }: NodeView, ask: Ask): number {
  const byCpu = ask.cpuMilli === 0 ? Number.POSITIVE_INFINITY : Math.floor(cpuMilli / ask.cpuMilli);
  const byMemory = ask.memoryMiB === 0 ? Number.POSITIVE_INFINITY : Math.floor(memoryMiB / ask.memoryMiB);
  return Math.min(byCpu, byMemory);
}

function nodeRefusal({ record, cpuMilli, memoryMiB }: NodeView, ask: Ask): WaitingReason | undefined {
  const { nodeLabels, tolerations } = ask.constraints ?? {};
  if (nodeLabels !== undefined && !Object.entries(nodeLabels).every(([key, value]) => record?.labels?.[key] === value))
    return 'LabelsDiffer';
  if (record?.taints !== undefined && !toleratesAll(record.taints, tolerations)) return 'NodeTainted';
  if (ask.cpuMilli > cpuMilli) return 'WaitingForCpu';
  return ask.memoryMiB > memoryMiB ? 'WaitingForMemory' : undefined;
}

function lookAtGroup(views: readonly GpuView[], ask: Exclude<GpuAsk, { kind: 'none' }>, count: Count): number {
  switch (ask.kind) {
    case 'whole':
      return lookForWhole(views, ask.count, count);
    case 'share':
      return lookForShare(views, ask, count);
    case 'slice':
    case 'least':
      return lookForSlices(views, ask, count);
    default:
      return ask satisfies never;
  }
}

function lookForWhole(views: readonly GpuView[], wanted: number, count: Count): number {
  let free = 0;
  for (const view of views) if (wholeRefusal(view) === undefined) free += 1;
  if (free >= wanted) return Math.floor(free / wanted);
  for (const view of views) {
    const reason = wholeRefusal(view);
    if (reason !== undefined) count(reason, 1);
  }
  if (free > 0) count('WaitingForSlots', free);
  return 0;
}

export function wholeRefusal(view: GpuView): WaitingReason | undefined {
  if (!view.healthy) return 'DeviceUnhealthy';
  if (view.heldWhole || view.held.length > 0 || view.shares.length > 0) return 'WaitingForSlots';
  return view.fixed !== undefined && view.cut ? view.fixed : undefined;
}

function lookForShare(views: readonly GpuView[], ask: Extract<GpuAsk, { kind: 'share' }>, count: Count): number {
  let places = 0;
  for (const view of views) {
    const wanted = shareMilli(ask.milli, ask.memoryMiB, view.gpu.memoryMiB);
    const reason = shareRefusal(view, ask, wanted);
    if (reason === undefined) places += Math.floor((1000 - takenMilli(view)) / wanted);
    else count(reason, 1);
  }
  return places;
}

function shareRefusal(view: GpuView, { by }: Extract<GpuAsk, { kind: 'share' }>, wanted: number): WaitingReason | undefined {
  if (wanted > 1000) return 'TooLittleMemoryOnGpu';
  const [share] = view.shares;
  if (share === undefined) return wholeRefusal(view);
  if (!view.healthy) return 'DeviceUnhealthy';
  if (share.by !== by) return 'SharedOtherwise';
  return takenMilli(view) + wanted > 1000 ? 'WaitingForSlots' : undefined;
}

function takenMilli({ shares, gpu }: GpuView): number {
  return shares.reduce((sum, one) => sum + shareMilli(one.milli, one.memoryMiB, gpu.memoryMiB), 0);
}

function lookForSlices(views: readonly GpuView[], ask: Extract<GpuAsk, { kind: 'slice' | 'least' }>, count: Count): number {
  const wanted = ask.count ?? 1;
  // All slices of an ask are of one profile.
  const places = profilesFor(views[0]?.grid, ask).reduce(
    (most, profile) =>
      Math.max(
        most,
        views.reduce((sum, view) => sum + placesFor(view, profile), 0),
      ),
    0,
  );
  if (places >= wanted) return Math.floor(places / wanted);
  for (const view of views) count(sliceRefusal(view, profilesFor(view.grid, ask)), 1);
  return 0;
}

const noProfiles: readonly Profile[] = [];
// The same asks are looked for on every GPU of a model.
const profilesByGrid = new WeakMap<MigGrid, Map<string, readonly Profile[]>>();

/** The profiles of the device that would do; those with media engines or graphics only where they are named. */
export function profilesFor(grid: MigGrid | undefined, ask: Extract<GpuAsk, { kind: 'slice' | 'least' }>): readonly Profile[] {
  if (grid === undefined) return noProfiles;
  const known = profilesByGrid.get(grid) ?? new Map<string, readonly Profile[]>();
  profilesByGrid.set(grid, known);
  const key = ask.kind === 'slice' ? ask.profile : `${ask.memoryMiB}/${ask.computeSlices}`;
  const before = known.get(key);
  if (before !== undefined) return before;
  const found = grid.profiles.filter((profile) =>
    ask.kind === 'slice'
      ? profile.name === ask.profile
      : !/[+-]/.test(profile.name) && profile.memoryMiB >= ask.memoryMiB && profile.computeSlices >= ask.computeSlices,
  );
  known.set(key, found);
  return found;
}

/** How many more of a profile the GPU could hold. */
function placesFor(view: GpuView, profile: Profile): number {
  if (!view.healthy || view.heldWhole || view.shares.length > 0 || view.grid === undefined) return 0;
  if (view.fixed !== undefined && view.cut) return view.free.filter((slice) => slice.profile === profile.name).length;
  return view.fixed === undefined ? placesBeside(view.grid, view.held, profile) : 0;
}

// The same few held sets come up on every GPU of a model.
const placesByGrid = new WeakMap<MigGrid, Map<string, number>>();

function placesBeside(grid: MigGrid, fast: readonly WantedSlice[], profile: Profile): number {
  const known = placesByGrid.get(grid) ?? new Map<string, number>();
  placesByGrid.set(grid, known);
  const key = `${profile.name}:${fast.map(formatSlice).sort().join()}`;
  const before = known.get(key);
  if (before !== undefined) return before;
  const held = [...fast];
  for (let start = freeStarts(grid, held, profile).at(-1); start !== undefined; start = freeStarts(grid, held, profile).at(-1))
    held.push({ profile: profile.name, start });
  known.set(key, held.length - fast.length);
  return held.length - fast.length;
}

function sliceRefusal(view: GpuView, profiles: readonly Profile[]): WaitingReason {
  if (profiles.length === 0) return 'NoSuchProfileOnModel';
  if (!view.healthy) return 'DeviceUnhealthy';
  if (view.heldWhole) return 'WaitingForSlots';
  if (view.shares.length > 0) return 'SharedOtherwise';
  if (view.fixed !== undefined) return view.fixed;
  const { compute, memory } = view.freeUnits;
  return profiles.some((profile) => compute >= profile.computeSlices && memory >= profile.size) ? 'FragmentedSlots' : 'WaitingForSlots';
}
