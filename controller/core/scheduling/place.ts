// One workload against the whole cluster: the best placement, or the reasons counted per GPU.
import { addUnits, noUnits, profileUnits, type SliceUnits } from '@astrago/shared/domain/units';
import type { Cluster } from '../cluster/cluster.ts';
import type { ObservedNode } from '../cluster/observed.ts';
import type { GpuAsk, LayoutRecord, WorkloadRecord, WorkspaceRecord } from '../cluster/records.ts';
import type { WaitingReason } from '../reason.ts';
import { ailmentsOf } from './ailments.ts';
import type { Placement } from './decision.ts';
import { fitSlice, type SliceFit } from './fit-slice.ts';
import { type GpuView, modelFits, viewGpu } from './gpu-view.ts';

/** Why, and for how many GPUs (nodes where the ask has no GPU, 1 where the reason is about the ask itself). */
export type ReasonCounts = ReadonlyMap<WaitingReason, number>;

export type PlaceAnswer =
  | { readonly kind: 'placed'; readonly placement: Placement }
  | { readonly kind: 'no'; readonly reasons: ReasonCounts };

export type Ask = Pick<WorkloadRecord, 'workspace' | 'ask' | 'model' | 'cpuMilli' | 'memoryMiB'>;

interface Candidate {
  readonly placement: Placement;
  /** Compared in order, smaller is better. */
  readonly rank: readonly number[];
}

/** Reads the cluster and changes nothing. Equal candidates are told apart by node name and GPU index. */
export function place(cluster: Cluster, ask: Ask): PlaceAnswer {
  const reasons = new Map<WaitingReason, number>();
  const count = (reason: WaitingReason, by = 1): void => void reasons.set(reason, (reasons.get(reason) ?? 0) + by);
  const nodes = [...cluster.observed.values()].filter((node) => node.state !== 'joining').sort((a, b) => (a.name < b.name ? -1 : 1));
  if (nodes.length === 0) return { kind: 'no', reasons: new Map([['NoNodes', 1]]) };
  let best: Candidate | undefined;
  for (const node of nodes) {
    for (const candidate of candidatesOn(cluster, node, ask, count)) {
      const refused = quotaRefusal(cluster, ask, candidate.placement.units);
      if (refused !== undefined) count(refused, Math.max(1, candidate.placement.devices.length));
      else if (best === undefined || isBetter(candidate.rank, best.rank)) best = candidate;
    }
  }
  return best === undefined ? { kind: 'no', reasons } : { kind: 'placed', placement: best.placement };
}

function isBetter(a: readonly number[], b: readonly number[]): boolean {
  for (const [index, value] of a.entries()) {
    const other = b[index] ?? 0;
    if (value !== other) return value < other;
  }
  return false;
}

function quotaRefusal(cluster: Cluster, ask: Ask, units: SliceUnits): WaitingReason | undefined {
  const limit = cluster.workspaces.get(ask.workspace)?.limit;
  if (limit === undefined || ask.ask.kind === 'none') return undefined;
  if (exceeds(units, limit)) return 'ExceedsMaxQuota';
  return exceeds(addUnits(cluster.usedBy(ask.workspace), units), limit) ? 'WaitingForQuota' : undefined;
}

function exceeds(units: SliceUnits, limit: WorkspaceRecord['limit']): boolean {
  return (limit.compute !== undefined && units.compute > limit.compute) || (limit.memory !== undefined && units.memory > limit.memory);
}

type Count = (reason: WaitingReason, by?: number) => void;

function candidatesOn(cluster: Cluster, node: ObservedNode, ask: Ask, count: Count): readonly Candidate[] {
  const weight = ask.ask.kind === 'none' ? 1 : node.gpus.length;
  if (ask.ask.kind !== 'none' && weight === 0) return [];
  const closed = nodeRefusal(cluster, node, ask);
  if (closed !== undefined) {
    // What no change of the node's state would mend is told first.
    const eligible = node.gpus.filter((gpu) => modelFits(gpu.model, ask.model)).length;
    if (ask.ask.kind === 'none') count(closed);
    else {
      if (weight > eligible) count('NoSuchModel', weight - eligible);
      if (eligible > 0) count(closed, eligible);
    }
    return [];
  }
  switch (ask.ask.kind) {
    case 'none':
      return [{ placement: { node: node.name, devices: [], units: noUnits, layouts: [] }, rank: [freeCpu(cluster, node)] }];
    case 'slice':
      return sliceCandidates(cluster, node, ask, ask.ask, count);
    case 'whole':
      return wholeCandidates(cluster, node, ask, ask.ask, count);
    case 'least':
    case 'share':
      return [];
    default:
      return ask.ask satisfies never;
  }
}

function nodeRefusal(cluster: Cluster, node: ObservedNode, ask: Ask): WaitingReason | undefined {
  if (node.state === 'unreachable') return 'NodeUnreachable';
  if (cluster.nodes.get(node.name)?.cordoned === true) return 'NodeCordoned';
  if (ailmentsOf(node.conditions).length > 0) return 'NodeUnhealthy';
  if (ask.cpuMilli > freeCpu(cluster, node)) return 'WaitingForCpu';
  if (ask.memoryMiB > freeMemory(cluster, node)) return 'WaitingForMemory';
  return undefined;
}

export function freeCpu(cluster: Cluster, node: ObservedNode): number {
  return cluster.allocationsOnNode(node.name).reduce((free, allocation) => free - allocation.cpuMilli, node.cpuMilli);
}

export function freeMemory(cluster: Cluster, node: ObservedNode): number {
  return cluster.allocationsOnNode(node.name).reduce((free, allocation) => free - allocation.memoryMiB, node.memoryMiB);
}

function sliceCandidates(
  cluster: Cluster,
  node: ObservedNode,
  ask: Ask,
  slice: Extract<GpuAsk, { kind: 'slice' }>,
  count: Count,
): readonly Candidate[] {
  const found: Candidate[] = [];
  for (const gpu of node.gpus) {
    if (!modelFits(gpu.model, ask.model)) {
      count('NoSuchModel');
      continue;
    }
    const view = viewGpu(cluster, gpu);
    const answer = fitSlice(view, slice.profile);
    if (answer.kind === 'no') count(answer.reason);
    else found.push(sliceCandidate(cluster, node, view, answer.fit, slice));
  }
  return found;
}

function sliceCandidate(
  cluster: Cluster,
  node: ObservedNode,
  view: GpuView,
  fit: SliceFit,
  ask: Extract<GpuAsk, { kind: 'slice' }>,
): Candidate {
  const units = view.grid === undefined ? noUnits : (profileUnits(view.grid, ask.profile) ?? noUnits);
  const layouts = layoutsFor(cluster, node, view, fit);
  return {
    placement: { node: node.name, devices: [{ gpu: view.gpu.uuid, slice: fit.slice }], units, layouts },
    // Changing the mode costs most, recutting less, and a ready slice nothing.
    rank: [fit.leftover, Number(cluster.layoutOf(view.gpu).kind === 'whole'), Number(fit.recut !== undefined), -fit.openness],
  };
}

/** A free slice of an ordered layout needs none; a slice that was only found there is ordered from now on. */
function layoutsFor(cluster: Cluster, node: ObservedNode, view: GpuView, fit: SliceFit): readonly LayoutRecord[] {
  const { uuid } = view.gpu;
  if (fit.recut !== undefined) return [{ gpu: uuid, node: node.name, pinned: false, layout: { kind: 'mig', slices: fit.recut } }];
  const ordered = cluster.layouts.get(uuid);
  // What was ordered there before another program cut it holds no more.
  if (ordered !== undefined && !cluster.isCutByOther(view.gpu)) return [];
  return [{ gpu: uuid, node: node.name, pinned: ordered?.pinned ?? false, layout: cluster.layoutOf(view.gpu) }];
}

function wholeCandidates(
  cluster: Cluster,
  node: ObservedNode,
  ask: Ask,
  whole: Extract<GpuAsk, { kind: 'whole' }>,
  count: Count,
): readonly Candidate[] {
  const free: GpuView[] = [];
  const refused = new Map<WaitingReason, number>();
  for (const gpu of node.gpus) {
    const reason = wholeRefusal(cluster, ask, gpu.uuid, gpu.model);
    if (typeof reason === 'string') refused.set(reason, (refused.get(reason) ?? 0) + 1);
    else free.push(reason);
  }
  for (const [reason, by] of refused) count(reason, by);
  const eligible = node.gpus.filter((gpu) => modelFits(gpu.model, ask.model)).length;
  if (free.length < whole.count) {
    if (free.length > 0) count(eligible < whole.count ? 'TooFewGpusOnNode' : 'WaitingForSlots', free.length);
    return [];
  }
  // GPUs that need no recut first, then by index.
  const recuts = (view: GpuView): boolean => cluster.layoutOf(view.gpu).kind !== 'whole';
  const chosen = free.toSorted((a, b) => Number(recuts(a)) - Number(recuts(b)) || a.gpu.index - b.gpu.index).slice(0, whole.count);
  const layouts = chosen
    .filter((view) => cluster.layouts.get(view.gpu.uuid)?.layout.kind !== 'whole')
    .map((view): LayoutRecord => ({ gpu: view.gpu.uuid, node: node.name, pinned: false, layout: { kind: 'whole' } }));
  const units = chosen.reduce((sum, view) => addUnits(sum, view.units), noUnits);
  const placement = { node: node.name, devices: chosen.map((view) => ({ gpu: view.gpu.uuid, slice: undefined })), units, layouts };
  return [{ placement, rank: [free.length - whole.count, chosen.filter(recuts).length] }];
}

function wholeRefusal(cluster: Cluster, ask: Ask, uuid: GpuView['gpu']['uuid'], model: string): WaitingReason | GpuView {
  if (!modelFits(model, ask.model)) return 'NoSuchModel';
  const gpu = cluster.gpu(uuid);
  if (gpu === undefined) return 'DeviceUnhealthy';
  const view = viewGpu(cluster, gpu);
  if (!view.healthy) return 'DeviceUnhealthy';
  if (view.heldWhole || view.held.length > 0) return 'WaitingForSlots';
  if (view.fixed !== undefined && cluster.layoutOf(gpu).kind === 'mig') return view.fixed;
  return view;
}
