import type { AllocationId, NodeName, WorkloadId } from '@astrago/shared/domain/ids';
import type { SliceUnits } from '@astrago/shared/domain/units';
import type { AllocatedDevice, LayoutRecord } from '../cluster/records.ts';
import type { WaitingReason } from '../reason.ts';

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
}

export interface Waiting {
  readonly workload: WorkloadId;
  /** The primary one; `explain` has all of them with counts. */
  readonly reason: WaitingReason;
}

/** What one look at the cluster says. A value: nothing was changed. */
export interface Decision {
  readonly binds: readonly Bind[];
  readonly waiting: readonly Waiting[];
}
