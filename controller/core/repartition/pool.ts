// What a planner is told of a pool: plain values, so that it plans for a cluster, a what-if and a test alike.
import type { GpuUuid, NodeName } from '@astrago/shared/domain/ids';
import type { MigGrid } from '@astrago/shared/domain/mig/grid';
import type { Layout } from '@astrago/shared/domain/mig/layout';
import { sameSlice, type WantedSlice } from '@astrago/shared/domain/mig/slice';

/** How work may be moved: not at all, by starting it again, or from its last checkpoint. */
export type Movability =
  | { readonly kind: 'stays' }
  /** `lostSeconds`: work that is done again after the move. */
  | { readonly kind: 'restart' | 'checkpoint'; readonly lostSeconds: number };

/** A slice in use, and by whom. */
export interface UsedSlice extends WantedSlice {
  readonly workload: string;
  readonly move: Movability;
  /** What goes with it from node to node. */
  readonly cpuMilli: number;
  readonly memoryMiB: number;
}

/**
 * `open`: may be cut. `pinned`, `cut-by-other` and `settling` (cut a moment ago): what is idle there serves, nothing is changed.
 * `ailing` and `closed` (its node is cordoned, silent or ailing): gets nothing new, and nothing is changed.
 */
export type Standing = 'open' | 'pinned' | 'cut-by-other' | 'settling' | 'ailing' | 'closed';

export interface PoolGpu {
  readonly uuid: GpuUuid;
  readonly node: NodeName;
  /** Absent when it cannot be cut. */
  readonly grid: MigGrid | undefined;
  /** What is ordered, or else what it shows. */
  readonly layout: Layout;
  readonly used: readonly UsedSlice[];
  /** Somebody holds it in one piece. */
  readonly usedWhole: boolean;
  readonly standing: Standing;
}

export interface PoolNode {
  readonly name: NodeName;
  readonly freeCpuMilli: number;
  readonly freeMemoryMiB: number;
}

/** The GPUs of one model. Nodes that a GPU names and that are not listed have nothing free. */
export interface Pool {
  readonly model: string;
  readonly nodes: readonly PoolNode[];
  readonly gpus: readonly PoolGpu[];
}

/** Slices of the present layout that nobody uses. */
export function idleSlices(gpu: PoolGpu): readonly WantedSlice[] {
  if (gpu.layout.kind === 'whole') return [];
  return gpu.layout.slices.filter((slice) => !gpu.used.some((used) => sameSlice(used, slice)));
}

/** Whether anything new may go there, as it is cut now. */
export function serves(gpu: PoolGpu): boolean {
  return !gpu.usedWhole && gpu.standing !== 'ailing' && gpu.standing !== 'closed';
}
