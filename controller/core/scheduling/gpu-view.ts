// One GPU as a placement sees it: what is held, what is left, whether it may be recut.
import { keepsWorkAway } from '@astrago/shared/domain/condition';
import type { MigGrid } from '@astrago/shared/domain/mig/grid';
import { sameSlice, type WantedSlice } from '@astrago/shared/domain/mig/slice';
import { addUnits, noUnits, profileUnits, type SliceUnits, wholeUnits } from '@astrago/shared/domain/units';
import type { Cluster } from '../cluster/cluster.ts';
import type { GpuUse } from '../cluster/node-use.ts';
import type { ObservedGpu } from '../cluster/observed.ts';
import type { DeviceShare } from '../cluster/records.ts';
import { partOfUnits, roundUnits, shareMilli } from '../cluster/share.ts';

export interface GpuView {
  readonly gpu: ObservedGpu;
  readonly grid: MigGrid | undefined;
  /** An allocation holds the whole GPU. */
  readonly heldWhole: boolean;
  /** Slices that allocations hold; they never move. */
  readonly held: readonly WantedSlice[];
  /** Shares that allocations hold. */
  readonly shares: readonly DeviceShare[];
  /** Its layout, as ordered or else as it shows, is one of slices. */
  readonly cut: boolean;
  /** Slices of the ordered layout that nobody holds. */
  readonly free: readonly WantedSlice[];
  /** Why it is not recut, whatever would fit then; absent where it may be. */
  readonly fixed: 'LayoutPinned' | 'CutByOther' | undefined;
  readonly healthy: boolean;
  readonly units: SliceUnits;
  readonly freeUnits: SliceUnits;
}

/** @param use what is held of it, where that is not what the cluster says. */
export function viewGpu(cluster: Cluster, gpu: ObservedGpu, use: GpuUse = cluster.useOf(gpu.node).ofGpu(gpu.uuid)): GpuView {
  const { whole, slices: held, shares } = use;
  const heldWhole = whole > 0;
  const layout = cluster.layoutOf(gpu);
  const ordered = layout.kind === 'mig' ? layout.slices : [];
  const units = wholeUnits(gpu.grid);
  const taken = heldWhole ? units : addUnits(heldUnits(gpu.grid, held), sharedUnits(gpu, units, shares));
  return {
    gpu,
    grid: gpu.grid,
    heldWhole,
    held,
    shares,
    cut: layout.kind === 'mig',
    free: heldWhole ? [] : ordered.filter((slice) => !held.some((other) => sameSlice(slice, other))),
    fixed: fixedBy(cluster, gpu),
    healthy: !gpu.conditions.some((condition) => keepsWorkAway(condition.kind)),
    units,
    freeUnits: roundUnits({ compute: units.compute - taken.compute, memory: units.memory - taken.memory }),
  };
}

function fixedBy(cluster: Cluster, gpu: ObservedGpu): GpuView['fixed'] {
  if (cluster.isCutByOther(gpu)) return 'CutByOther';
  return cluster.layouts.get(gpu.uuid)?.pinned === true ? 'LayoutPinned' : undefined;
}

function heldUnits(grid: MigGrid | undefined, held: readonly WantedSlice[]): SliceUnits {
  if (grid === undefined) return noUnits;
  return held.reduce((sum, slice) => addUnits(sum, profileUnits(grid, slice.profile) ?? noUnits), noUnits);
}

function sharedUnits({ memoryMiB }: ObservedGpu, units: SliceUnits, shares: readonly DeviceShare[]): SliceUnits {
  return shares.reduce((sum, share) => addUnits(sum, partOfUnits(units, shareMilli(share.milli, share.memoryMiB, memoryMiB))), noUnits);
}

/** Whether a model's name holds every word asked for: `h100`, `a100-sxm4-80gb`. */
export function modelFits(model: string, asked: string | undefined): boolean {
  if (asked === undefined) return true;
  const words = asked
    .toLowerCase()
    .split(/[^a-z0-9.]+/)
    .filter((word) => word !== '');
  const name = model.toLowerCase();
  return words.every((word) => name.includes(word));
}
