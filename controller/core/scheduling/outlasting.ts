// What will still be on nodes when a workspace is to have them for itself.
import type { NodeName } from '@astrago/shared/domain/ids';
import type { Cluster } from '../cluster/cluster.ts';
import type { AllocationRecord } from '../cluster/records.ts';
import { expectedEndMs } from './expected-end.ts';
import type { WantedTime } from './reserved-nodes.ts';

export interface Outlasting {
  readonly allocation: AllocationRecord;
  /** Absent: it did not say how long it runs. */
  readonly endMs: number | undefined;
}

/**
 * Work of others on the node that may not be interrupted, and is not known to end before the time begins; the first to
 * end comes first. What may be interrupted gives way when the room is asked for.
 */
export function outlasting(cluster: Cluster, node: NodeName, wanted: WantedTime, nowMs: number): readonly Outlasting[] {
  return cluster
    .allocationsOnNode(node)
    .filter(({ workload, workspace }) => workspace !== wanted.workspace && cluster.workloads.get(workload)?.interruptible === undefined)
    .map((allocation) => ({ allocation, endMs: expectedEndMs(cluster, allocation, nowMs) }))
    .filter(({ endMs }) => endMs === undefined || endMs > Math.max(nowMs, wanted.fromMs))
    .sort(
      (a, b) =>
        (a.endMs ?? Number.POSITIVE_INFINITY) - (b.endMs ?? Number.POSITIVE_INFINITY) || (a.allocation.id < b.allocation.id ? -1 : 1),
    );
}
