// All that a decision depends on, as plain data.
import type { AskedCount } from '../cluster/asked.ts';
import type { ObservedNode } from '../cluster/observed.ts';
import type { StoredRecords } from '../cluster/stored.ts';

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
export interface SavedCluster extends StoredRecords {
  readonly observed: readonly ObservedNode[];
  /** The demand that placement keeps room for, and what has ended. */
  readonly asked: {
    readonly total: number;
    readonly counts: readonly AskedCount[];
    readonly ends: { readonly weight: number; readonly at: number };
  };
}
