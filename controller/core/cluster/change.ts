import type { AllocationId, GpuUuid, NodeName, ReservationName } from '@astrago/shared/domain/ids';
import type { ObservedNode } from './observed.ts';
import type {
  AllocationRecord,
  LayoutRecord,
  NodeRecord,
  PoolRecord,
  ReservationRecord,
  WorkloadRecord,
  WorkspaceRecord,
} from './records.ts';

/** One durable change. Each names its row whole, so applying it twice is applying it once. */
export type Change =
  | { readonly kind: 'workload'; readonly record: WorkloadRecord }
  | { readonly kind: 'allocation'; readonly record: AllocationRecord }
  | { readonly kind: 'allocation-released'; readonly id: AllocationId }
  | { readonly kind: 'layout'; readonly record: LayoutRecord }
  | { readonly kind: 'layout-forgotten'; readonly gpu: GpuUuid }
  | { readonly kind: 'node'; readonly record: NodeRecord }
  | { readonly kind: 'workspace'; readonly record: WorkspaceRecord }
  | { readonly kind: 'reservation'; readonly record: ReservationRecord }
  | { readonly kind: 'reservation-cancelled'; readonly name: ReservationName }
  | { readonly kind: 'pool'; readonly record: PoolRecord };

/** Changes of what is only observed; never stored, but undone like the others in a what-if. */
export type Observation =
  | { readonly kind: 'observed-node'; readonly node: ObservedNode }
  | { readonly kind: 'observed-node-gone'; readonly name: NodeName };
