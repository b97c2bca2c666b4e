import type { AllocationId, NodeName, WorkloadId } from '@astrago/shared/domain/ids';
import type { SliceUnits } from '@astrago/shared/domain/units';
import type { AllocatedDevice, Eviction, LayoutRecord } from '../cluster/records.ts';
import type { Relabel } from '../quota/relabel.ts';

/** Where a workload goes: its devices, and the layouts that must be ordered for it first. */
export interface Placement {
  readonly node: NodeName;
  readonly devices: readonly AllocatedDevice[];
  readonly units: SliceUnits;
  /** Layouts that differ from what is ordered now; empty when a free slice was there. */
  readonly layouts: readonly LayoutRecord[];
}

export interface Bind {
  readonly workload: WorkloadId;
  readonly allocation: AllocationId;
  readonly placement: Placement;
  /** Beyond what its workspace is guaranteed. */
  readonly borrowed: boolean;
}

/** Work that is stopped to make room, and queues again. */
export interface Evict {
  readonly workload: WorkloadId;
  readonly allocation: AllocationId;
  readonly cause: Eviction['cause'];
  readonly beneficiary: WorkloadId;
  readonly node: NodeName;
}

/** What stood in the way, as far as a decision needs to know. Why in full, with counts, is what `explain` finds. */
export type Obstacle =
  /** The limit of its workspace, or of one above it. */
  | 'limit'
  /** It may not be interrupted, and what is left is guaranteed to others. */
  | 'guarantee'
  /** The hours of its workspace are used up. */
  | 'budget'
  /** No GPU, node or pool has the room. */
  | 'room'
  /** There is room, and it is kept for work that was waiting before. */
  | 'kept'
  /** Room is being made for it. */
  | 'evicting';

export interface Waiting {
  readonly workload: WorkloadId;
  readonly obstacle: Obstacle;
}

/** What one look at the cluster says. A value: nothing was changed. */
export interface Decision {
  readonly binds: readonly Bind[];
  readonly evictions: readonly Evict[];
  /** Running work that is borrowed from now on, or is not any more. */
  readonly relabels: readonly Relabel[];
  readonly waiting: readonly Waiting[];
}
