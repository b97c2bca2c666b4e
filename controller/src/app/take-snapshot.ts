import type { Cluster } from '#core/cluster/cluster';
import { schedulerOf } from '#core/scheduling/scheduler';
import { saveSnapshot } from '#core/snapshot/save';
import type { Snapshot } from '#core/snapshot/snapshot';

/**
 * The cluster as it is, committed changes and nothing else. What the scheduler has derived so far is derived anew, so
 * that the next decision here is the one that a program makes which knows only the snapshot.
 */
export function takeSnapshot(cluster: Cluster, nowMs: number): Snapshot {
  schedulerOf(cluster).bays.forget();
  return saveSnapshot(cluster, nowMs);
}
