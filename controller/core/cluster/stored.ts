import type { Cluster } from './cluster.ts';
import type { AllocationRecord, LayoutRecord, NodeRecord, ReservationRecord, WorkloadRecord, WorkspaceRecord } from './records.ts';

/** The records that a decision depends on, as a store or a file keeps them. */
export interface StoredRecords {
  readonly workspaces: readonly WorkspaceRecord[];
  readonly reservations: readonly ReservationRecord[];
  readonly nodes: readonly NodeRecord[];
  readonly layouts: readonly LayoutRecord[];
  readonly workloads: readonly WorkloadRecord[];
  readonly allocations: readonly AllocationRecord[];
}

/** Fills a new cluster; what is observed comes after. */
export function putStored(cluster: Cluster, stored: StoredRecords): void {
  for (const record of stored.workspaces) cluster.apply({ kind: 'workspace', record });
  for (const record of stored.reservations) cluster.apply({ kind: 'reservation', record });
  for (const record of stored.nodes) cluster.apply({ kind: 'node', record });
  for (const record of stored.layouts) cluster.apply({ kind: 'layout', record });
  for (const record of stored.workloads) cluster.apply({ kind: 'workload', record });
  for (const record of stored.allocations) cluster.apply({ kind: 'allocation', record });
}
