// How one GPU stands: what placement may do with it now.
import { keepsWorkAway } from '@astrago/shared/domain/condition';
import { sameSlice, type WantedSlice } from '@astrago/shared/domain/mig/slice';
import type { Cluster } from '../cluster/cluster.ts';
import type { GpuUse } from '../cluster/node-use.ts';
import type { ObservedGpu } from '../cluster/observed.ts';
import { shareMilli } from '../cluster/share.ts';
import type { GpuState } from '../placement/gpu-state.ts';
import type { GpuKind } from './gpu-kind.ts';

export type Standing =
  /** Thousandths that whole GPUs and shares by MPS can have: 1000 when it is untouched. */
  { readonly kind: 'open'; readonly milli: number; readonly cuttable: boolean } | { readonly kind: 'other'; readonly state: GpuState };

const closed: Standing = { kind: 'open', milli: 0, cuttable: false };
const untouched: Standing = { kind: 'open', milli: 1000, cuttable: false };
const cuttable: Standing = { kind: 'open', milli: 1000, cuttable: true };

export function standingOf(cluster: Cluster, gpu: ObservedGpu, kind: GpuKind, use: GpuUse): Standing {
  if (use.whole > 0 || gpu.conditions.some((condition) => keepsWorkAway(condition.kind))) return closed;
  const [share] = use.shares;
  if (share !== undefined) {
    const taken = use.shares.reduce((sum, { milli, memoryMiB }) => sum + shareMilli(milli, memoryMiB, kind.memoryMiB), 0);
    const milli = Math.max(0, 1000 - taken);
    return share.by === 'mps' ? { kind: 'open', milli, cuttable: false } : { kind: 'other', state: { kind: 'time-sliced', milli } };
  }
  const fixed = isFixed(cluster, gpu);
  const { grid } = kind;
  if (fixed && cluster.layoutOf(gpu).kind === 'mig')
    return grid === undefined ? closed : { kind: 'other', state: { kind: 'fixed', grid, free: freeSlices(cluster, gpu, use) } };
  if (use.slices.length > 0) return grid === undefined ? closed : { kind: 'other', state: { kind: 'cut', grid, held: use.slices } };
  return grid === undefined || fixed ? untouched : cuttable;
}

/** Its layout is not the scheduler's to change. */
export function isFixed(cluster: Cluster, gpu: ObservedGpu): boolean {
  return cluster.isCutByOther(gpu) || cluster.layouts.get(gpu.uuid)?.pinned === true;
}

/** Slices of its layout that nobody holds. */
export function freeSlices(cluster: Cluster, gpu: ObservedGpu, use: GpuUse): readonly WantedSlice[] {
  const layout = cluster.layoutOf(gpu);
  return layout.kind === 'mig' ? layout.slices.filter((slice) => !use.slices.some((other) => sameSlice(slice, other))) : [];
}

/** Free thousandths of an open GPU; absent for one that is cut or shared in time. */
export function openMilli(cluster: Cluster, gpu: ObservedGpu, kind: GpuKind | undefined): number | undefined {
  if (kind === undefined) return undefined;
  const standing = standingOf(cluster, gpu, kind, cluster.useOf(gpu.node).ofGpu(gpu.uuid));
  return standing.kind === 'open' ? standing.milli : undefined;
}
