// Which of the running work is borrowed. Decided at its start; here it is put right when that has changed.
import type { AllocationId } from '@astrago/shared/domain/ids';
import type { Cluster } from '../cluster/cluster.ts';
import type { AllocationRecord } from '../cluster/records.ts';
import type { Quotas } from './quotas.ts';

export interface Relabel {
  readonly allocation: AllocationId;
  readonly borrowed: boolean;
}

/**
 * Work that had borrowed what its workspace now has of its own, the oldest first. Where more is counted as its own than
 * is guaranteed, because guarantees were changed, the youngest that may be interrupted has been borrowing from now on.
 * The cluster is changed accordingly.
 */
export function relabel(cluster: Cluster, quotas: Quotas): readonly Relabel[] {
  const changed = new Map<AllocationId, boolean>();
  const label = (allocation: AllocationRecord, borrowed: boolean): void => {
    cluster.apply({ kind: 'allocation', record: { ...allocation, borrowed: borrowed || undefined } });
    // Twice is back to what it was.
    if (!changed.delete(allocation.id)) changed.set(allocation.id, borrowed);
  };
  if (quotas.isOverGuarantee) {
    const own = [...cluster.allocations.values()].filter(({ borrowed }) => borrowed !== true).sort(youngestFirst);
    for (const allocation of own) {
      if (cluster.workloads.get(allocation.workload)?.interruptible === undefined) continue;
      if (quotas.exceedsGuarantee(allocation.workspace, quotas.chargeOf(allocation))) label(allocation, true);
    }
  }
  for (const allocation of cluster.borrowed().toSorted(youngestFirst).toReversed()) {
    if (!quotas.isBorrowing(allocation.workspace, quotas.chargeOf(allocation))) label(allocation, false);
  }
  return [...changed].map(([allocation, borrowed]) => ({ allocation, borrowed }));
}

function youngestFirst(a: AllocationRecord, b: AllocationRecord): number {
  return (b.placedAtMs ?? 0) - (a.placedAtMs ?? 0) || (a.id < b.id ? 1 : -1);
}
