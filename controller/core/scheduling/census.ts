// Why nothing takes an ask, GPU by GPU. Looks at all of them and shares no code with the search, so that each checks the other.
import { freeStarts } from '@astrago/shared/domain/mig/arrange';
import type { MigGrid } from '@astrago/shared/domain/mig/grid';
import type { Profile } from '@astrago/shared/domain/mig/profile';
import { formatSlice, type WantedSlice } from '@astrago/shared/domain/mig/slice';
import { toleratesAll } from '../bays/pools.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { ObservedNode } from '../cluster/observed.ts';
import type { GpuAsk } from '../cluster/records.ts';
import { shareMilli } from '../cluster/share.ts';
import type { WaitingReason } from '../reason.ts';
import { ailmentsOf } from './ailments.ts';
import { type GpuView, modelFits, viewGpu } from './gpu-view.ts';
import type { Ask } from './scheduler.ts';

/** Why, and for how many GPUs (nodes where the ask has no GPU, 1 where the reason is about the ask itself). */
export type ReasonCounts = ReadonlyMap<WaitingReason, number>;

type Count = (reason: WaitingReason, by?: number) => void;

/** Counts nothing for what could take it: empty when some node could. */
export function censusOf(cluster: Cluster, ask: Ask): ReasonCounts {
  const reasons = new Map<WaitingReason, number>();
  const count: Count = (reason, by = 1) => void reasons.set(reason, (reasons.get(reason) ?? 0) + by);
  const nodes = [...cluster.observed.values()].filter((node) => node.state !== 'joining');
  if (nodes.length === 0) return new Map([['NoNodes', 1]]);
  for (const node of nodes) countNode(cluster, node, ask, count);
  if (ask.ask.kind !== 'none' && nodes.every(({ gpus }) => gpus.length === 0)) count('NoSuchModel');
  return reasons;
}

function countNode(cluster: Cluster, node: ObservedNode, ask: Ask, count: Count): void {
  const closed = nodeRefusal(cluster, node, ask);
  if (ask.ask.kind === 'none') {
    if (closed !== undefined) count(closed);
    return;
  }
  const fitting = node.gpus.filter((gpu) => modelFits(gpu.model, ask.model));
  // What no change of the node's state would mend is told first.
  if (node.gpus.length > fitting.length) count('NoSuchModel', node.gpus.length - fitting.length);
  if (fitting.length === 0) return;
  if (closed !== undefined) {
    count(closed, fitting.length);
    return;
  }
  // GPUs of one model are not alike if their memory differs, or what they can be cut into.
  for (const [, gpus] of Map.groupBy(
    fitting,
    ({ model, memoryMiB, grid }) => `${memoryMiB}|${grid?.placementUnits}|${grid?.profiles.length}|${model}`,
  )) {
    const views = gpus.map((gpu) => viewGpu(cluster, gpu));
    switch (ask.ask.kind) {
      case 'whole':
        countWhole(cluster, views, ask.ask.count, count);
        break;
      case 'share':
        for (const view of views) countOne(shareRefusal(cluster, view, ask.ask), count);
        break;
      case 'slice':
      case 'least':
        countSlices(views, ask.ask, count);
        break;
      default:
        ask.ask satisfies never;
    }
  }
}

function countOne(reason: WaitingReason | undefined, count: Count): void {
  if (reason !== undefined) count(reason);
}

function nodeRefusal(cluster: Cluster, node: ObservedNode, { constraints, cpuMilli, memoryMiB }: Ask): WaitingReason | undefined {
  if (node.state === 'unreachable') return 'NodeUnreachable';
  const record = cluster.nodes.get(node.name);
  if (record?.cordoned === true) return 'NodeCordoned';
  if (ailmentsOf(node.conditions).length > 0) return 'NodeUnhealthy';
  if (!Object.entries(constraints?.nodeLabels ?? {}).every(([key, value]) => record?.labels?.[key] === value)) return 'LabelsDiffer';
  if (!toleratesAll(record?.taints ?? [], constraints?.tolerations)) return 'NodeTainted';
  const held = cluster.allocationsOnNode(node.name);
  // Nothing is asked of a node that holds more than it has, where nothing is asked.
  if (
    cpuMilli >
    Math.max(
      0,
      held.reduce((free, allocation) => free - allocation.cpuMilli, node.cpuMilli),
    )
  )
    return 'WaitingForCpu';
  if (
    memoryMiB >
    Math.max(
      0,
      held.reduce((free, allocation) => free - allocation.memoryMiB, node.memoryMiB),
    )
  )
    return 'WaitingForMemory';
  return undefined;
}

function countWhole(cluster: Cluster, views: readonly GpuView[], wanted: number, count: Count): void {
  const refusals = views.map((view) => wholeRefusal(cluster, view));
  const free = refusals.filter((reason) => reason === undefined).length;
  if (free >= wanted) return;
  for (const reason of refusals) countOne(reason, count);
  if (free > 0) count(views.length < wanted ? 'TooFewGpusOnNode' : 'WaitingForSlots', free);
}

function wholeRefusal(cluster: Cluster, view: GpuView): WaitingReason | undefined {
  if (!view.healthy) return 'DeviceUnhealthy';
  if (view.heldWhole || view.held.length > 0 || view.shares.length > 0) return 'WaitingForSlots';
  return view.fixed !== undefined && cluster.layoutOf(view.gpu).kind === 'mig' ? view.fixed : undefined;
}

function shareRefusal(cluster: Cluster, view: GpuView, ask: Extract<GpuAsk, { kind: 'share' }>): WaitingReason | undefined {
  const wanted = shareMilli(ask.milli, ask.memoryMiB, view.gpu.memoryMiB);
  if (wanted > 1000) return 'TooLittleMemoryOnGpu';
  const [share] = view.shares;
  if (share === undefined) return wholeRefusal(cluster, view);
  if (!view.healthy) return 'DeviceUnhealthy';
  if (share.by !== ask.by) return 'SharedOtherwise';
  const taken = view.shares.reduce((sum, one) => sum + shareMilli(one.milli, one.memoryMiB, view.gpu.memoryMiB), 0);
  return taken + wanted > 1000 ? 'WaitingForSlots' : undefined;
}

function countSlices(views: readonly GpuView[], ask: Extract<GpuAsk, { kind: 'slice' | 'least' }>, count: Count): void {
  const wanted = ask.count ?? 1;
  // The same on all of them: they are alike. All slices of an ask are of one profile.
  const grid = views[0]?.grid;
  const profiles = profilesFor(grid, ask);
  const fits = (profile: Profile): boolean =>
    grid !== undefined && views.reduce((sum, view) => sum + placesFor(view, grid, profile), 0) >= wanted;
  if (profiles.some(fits)) return;
  for (const view of views) count(profiles.length === 0 ? 'NoSuchProfileOnModel' : sliceRefusal(view, profiles));
}

/** The profiles of the device that would do; those with media engines or graphics only where they are named. */
function profilesFor(grid: MigGrid | undefined, ask: Extract<GpuAsk, { kind: 'slice' | 'least' }>): readonly Profile[] {
  if (grid === undefined) return [];
  if (ask.kind === 'slice') return grid.profiles.filter(({ name }) => name === ask.profile);
  const plain = grid.profiles.filter(({ name }) => !name.includes('+') && !name.includes('-'));
  return plain.filter((profile) => profile.memoryMiB >= ask.memoryMiB && profile.computeSlices >= ask.computeSlices);
}

/** How many more of a profile the GPU could hold. */
function placesFor(view: GpuView, grid: MigGrid, profile: Profile): number {
  if (!view.healthy || view.heldWhole || view.shares.length > 0) return 0;
  if (view.fixed !== undefined) return view.free.filter((slice) => slice.profile === profile.name).length;
  return placesBeside(grid, view.held, profile);
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
  if (!view.healthy) return 'DeviceUnhealthy';
  if (view.heldWhole) return 'WaitingForSlots';
  if (view.shares.length > 0) return 'SharedOtherwise';
  if (view.fixed !== undefined) return view.fixed;
  const { compute, memory } = view.freeUnits;
  return profiles.some((profile) => compute >= profile.computeSlices && memory >= profile.size) ? 'FragmentedSlots' : 'WaitingForSlots';
}

// From what mends itself soonest to what never does: a workload waits for the nearest thing that would let it go.
const nearestFirst: readonly WaitingReason[] = [
  'RoomIsMade',
  'RoomIsKept',
  'WaitingForQuota',
  'WaitingForGuarantee',
  'WaitingForBudget',
  'WaitingForGang',
  'WaitingForSlots',
  'SharedOtherwise',
  'FragmentedSlots',
  'WaitingForCpu',
  'WaitingForMemory',
  'LayoutPinned',
  'NodeCordoned',
  'NodeUnreachable',
  'NodeUnhealthy',
  'CutByOther',
  'DeviceUnhealthy',
  'NodeTainted',
  'LabelsDiffer',
  'ExceedsMaxQuota',
  'TooFewGpusOnNode',
  'TooLittleMemoryOnGpu',
  'NoSuchProfileOnModel',
  'NoSuchModel',
  'NoNodes',
  'PendingEvaluation',
];

/** The one reason that stands for all counted ones. */
export function primaryReason(reasons: ReasonCounts): WaitingReason {
  return nearestFirst.find((reason) => reasons.has(reason)) ?? 'NoNodes';
}
