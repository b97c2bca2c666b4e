// All that a decision depends on, as plain data.
import type { AskedCount } from '../cluster/asked.ts';
import type { ObservedNode } from '../cluster/observed.ts';
import type { AllocationRecord, LayoutRecord, NodeRecord, ReservationRecord, WorkloadRecord, WorkspaceRecord } from '../cluster/records.ts';

export const snapshotFormat = 'astrago-snapshot';
/** Grows when an older program could not read what is saved. */
export const snapshotVersion = 1;

export interface Snapshot {
  readonly format: typeof snapshotFormat;
  readonly version: typeof snapshotVersion;
  /** Since the epoch: the time at which a decision on it is made. */
  readonly nowMs: number;
  /** What was left out, for people. */
  readonly dropped: readonly string[];
  readonly cluster: SavedCluster;
}

/** Each list in the order in which the cluster holds it: some choices among equals follow it. */
export interface SavedCluster {
  readonly workspaces: readonly WorkspaceRecord[];
  readonly nodes: readonly NodeRecord[];
  readonly layouts: readonly LayoutRecord[];
  readonly workloads: readonly WorkloadRecord[];
  readonly allocations: readonly AllocationRecord[];
  readonly observed: readonly ObservedNode[];
  readonly reservations: readonly ReservationRecord[];
  /** The demand that placement keeps room for, and what has ended. */
  readonly asked: {
    readonly total: number;
    readonly counts: readonly AskedCount[];
    readonly ends: { readonly weight: number; readonly at: number };
  };
}
