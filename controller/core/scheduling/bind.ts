// From a bay to devices: which of its GPUs, which slices, and what must be ordered first.
import { freeStarts } from '@astrago/shared/domain/mig/arrange';
import { findProfile, type MigGrid } from '@astrago/shared/domain/mig/grid';
import { inOrder } from '@astrago/shared/domain/mig/layout';
import { overlaps, sameSlice, spanOf, type WantedSlice } from '@astrago/shared/domain/mig/slice';
import type { SliceUnits } from '@astrago/shared/domain/units';
import type { Bay } from '../bays/bay.ts';
import type { Found } from '../bays/bays.ts';
import { freeSlices, isFixed, openMilli, standingOf } from '../bays/standing.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { ObservedGpu } from '../cluster/observed.ts';
import type { AllocatedDevice, GpuAsk, LayoutRecord, LocalityWish } from '../cluster/records.ts';
import { deviceShare } from '../cluster/share.ts';
import type { CutStep } from '../placement/cut-outcomes.ts';
import type { GpuStates } from '../placement/gpu-state.ts';
import type { Shape } from '../placement/shape.ts';
import type { Placement } from './decision.ts';
import { closest } from './locality.ts';

export interface BindAsk {
  readonly ask: GpuAsk;
  readonly together: readonly LocalityWish[] | undefined;
}

/** The placement that was found, in devices. What is not told apart by how good it is goes to the lowest index. */
export function placementOf(cluster: Cluster, states: GpuStates, found: Found, { ask, together }: BindAsk): Placement {
  const { bay, variant, placement } = found;
  const units: SliceUnits = variant.units;
  if (placement.steps.length > 0) return { node: bay.node, units, ...cutDevices(cluster, states, bay, placement.steps, ask) };
  switch (ask.kind) {
    case 'whole': {
      const free = bay.gpus
        .filter((gpu) => openMilli(cluster, gpu, bay.kind) === 1000)
        .sort((a, b) => recuts(cluster, a) - recuts(cluster, b) || a.index - b.index);
      const chosen = closest(free, ask.count, together);
      return {
        node: bay.node,
        units,
        devices: chosen.map(({ uuid }) => ({ gpu: uuid, slice: undefined })),
        layouts: wholeLayouts(cluster, chosen),
      };
    }
    case 'share': {
      const gpu = sharedGpu(cluster, bay, placement.before, placement.after);
      const share = deviceShare(ask.by, ask.milli, ask.memoryMiB, gpu.memoryMiB);
      return { node: bay.node, units, devices: [{ gpu: gpu.uuid, slice: undefined, share }], layouts: wholeLayouts(cluster, [gpu]) };
    }
    default:
      return { node: bay.node, units, devices: [], layouts: [] };
  }
}

/** Changing the mode of a GPU costs time; one that is pinned whole can be had without, and for nothing else. */
function recuts(cluster: Cluster, gpu: ObservedGpu): number {
  if (isFixed(cluster, gpu)) return 0;
  return cluster.layoutOf(gpu).kind === 'whole' ? 1 : 2;
}

function wholeLayouts(cluster: Cluster, gpus: readonly ObservedGpu[]): readonly LayoutRecord[] {
  return gpus
    .filter(({ uuid }) => cluster.layouts.get(uuid)?.layout.kind !== 'whole')
    .map(({ uuid, node }): LayoutRecord => ({ gpu: uuid, node, pinned: false, layout: { kind: 'whole' } }));
}

/** The GPU whose free thousandths are those that differ between the shapes. */
function sharedGpu(cluster: Cluster, bay: Bay, before: Shape, after: Shape): ObservedGpu {
  const at = before.gpus.findIndex((milli, index) => milli !== after.gpus[index]);
  const milli = before.gpus[at];
  const candidates = bay.gpus.filter((gpu) => openMilli(cluster, gpu, bay.kind) === milli);
  return first(candidates.sort((a, b) => recuts(cluster, a) - recuts(cluster, b) || a.index - b.index));
}

function first(gpus: readonly ObservedGpu[]): ObservedGpu {
  const [gpu] = gpus;
  if (gpu === undefined) throw new Error('a place that was found has its GPU');
  return gpu;
}

interface Cut {
  readonly devices: readonly AllocatedDevice[];
  readonly layouts: readonly LayoutRecord[];
}

function cutDevices(cluster: Cluster, states: GpuStates, bay: Bay, steps: readonly CutStep[], ask: GpuAsk): Cut {
  const devices: AllocatedDevice[] = [];
  const layouts = new Map<string, LayoutRecord>();
  /** What was taken in the steps before. */
  const taken = new Map<ObservedGpu, { readonly state: number; readonly slices: readonly WantedSlice[] }>();
  for (const { from, slice, equals, after } of steps) {
    const candidates = bay.gpus.filter((gpu) => {
      const state = taken.get(gpu)?.state ?? stateOf(cluster, states, bay, gpu);
      return state === from && (from !== 'untouched' || slice === undefined || isCuttable(cluster, bay, gpu));
    });
    if (slice === undefined) {
      const gpu = first(candidates.sort((a, b) => recuts(cluster, a) - recuts(cluster, b) || a.index - b.index));
      if (ask.kind === 'share') devices.push({ gpu: gpu.uuid, slice, share: deviceShare(ask.by, ask.milli, ask.memoryMiB, gpu.memoryMiB) });
      for (const layout of wholeLayouts(cluster, [gpu])) layouts.set(gpu.uuid, layout);
      taken.set(gpu, { state: after, slices: [] });
      continue;
    }
    // Another slice than the one foreseen leaves the GPU in another state, so what comes after it would not be found.
    const ways = steps.length === 1 ? equals : [slice];
    const { gpu, chosen } = readiest(cluster, candidates, ways, slice);
    const slices = [...(taken.get(gpu)?.slices ?? []), chosen];
    taken.set(gpu, { state: after, slices });
    devices.push({ gpu: gpu.uuid, slice: chosen });
    const layout = cutLayout(cluster, bay, gpu, slices);
    if (layout !== undefined) layouts.set(gpu.uuid, layout);
  }
  return { devices, layouts: [...layouts.values()] };
}

/** A slice that is there already before one that must be cut, a GPU in MIG mode before one that is not. */
function readiest(
  cluster: Cluster,
  gpus: readonly ObservedGpu[],
  ways: readonly WantedSlice[],
  otherwise: WantedSlice,
): { readonly gpu: ObservedGpu; readonly chosen: WantedSlice } {
  const inMig = (gpu: ObservedGpu): readonly WantedSlice[] | undefined => {
    const layout = cluster.layoutOf(gpu);
    return layout.kind === 'mig' ? layout.slices : undefined;
  };
  const byIndex = gpus.toSorted((a, b) => a.index - b.index);
  for (const gpu of byIndex) {
    const chosen = ways.findLast((slice) => inMig(gpu)?.some((other) => sameSlice(other, slice)));
    if (chosen !== undefined) return { gpu, chosen };
  }
  return { gpu: byIndex.find((gpu) => inMig(gpu) !== undefined) ?? first(byIndex), chosen: otherwise };
}

function stateOf(cluster: Cluster, states: GpuStates, bay: Bay, gpu: ObservedGpu): number | 'untouched' | undefined {
  if (bay.kind === undefined) return undefined;
  const standing = standingOf(cluster, gpu, bay.kind, cluster.useOf(bay.node).ofGpu(gpu.uuid));
  if (standing.kind === 'other') return states.idOf(standing.state);
  return standing.milli === 1000 ? 'untouched' : undefined;
}

function isCuttable(cluster: Cluster, bay: Bay, gpu: ObservedGpu): boolean {
  return bay.kind?.grid !== undefined && !isFixed(cluster, gpu);
}

/**
 * The layout that has the new slices beside those that are held, and as many of the free ones as stay legal. Absent when
 * it is ordered already; a slice that was only found there is ordered from now on.
 */
function cutLayout(cluster: Cluster, bay: Bay, gpu: ObservedGpu, fresh: readonly WantedSlice[]): LayoutRecord | undefined {
  const { uuid, node } = gpu;
  const layout = cluster.layoutOf(gpu);
  const present = layout.kind === 'mig' ? layout.slices : [];
  const ordered = cluster.layouts.get(uuid);
  if (fresh.every((slice) => present.some((other) => sameSlice(other, slice)))) {
    // What was ordered there before another program cut it holds no more.
    if (ordered !== undefined && !cluster.isCutByOther(gpu)) return undefined;
    return { gpu: uuid, node, pinned: ordered?.pinned ?? false, layout };
  }
  const use = cluster.useOf(node).ofGpu(uuid);
  const grid = bay.kind?.grid;
  if (grid === undefined) return undefined;
  const slices = keepingFree(grid, [...use.slices, ...fresh], freeSlices(cluster, gpu, use));
  return { gpu: uuid, node, pinned: false, layout: { kind: 'mig', slices } };
}

function keepingFree(grid: MigGrid, fast: readonly WantedSlice[], free: readonly WantedSlice[]): readonly WantedSlice[] {
  const kept = [...fast];
  for (const slice of inOrder(free)) {
    const span = spanOf(grid, slice);
    const profile = findProfile(grid, slice.profile);
    if (span === undefined || profile === undefined) continue;
    const clear = kept.every((other) => {
      const taken = spanOf(grid, other);
      return taken === undefined || !overlaps(span, taken);
    });
    if (clear && freeStarts(grid, kept, profile).includes(slice.start)) kept.push(slice);
  }
  return inOrder(kept);
}
