import type { Cluster } from '../cluster/cluster.ts';
import type { WorkloadRecord } from '../cluster/records.ts';
import type { WaitingReason } from '../reason.ts';
import type { Obstacle } from '../scheduling/decision.ts';
import { tryNow, unitOf } from '../scheduling/fits.ts';
import { censusOf, type ReasonCounts } from './census.ts';
import { liftLimits } from './limits.ts';

/** Why nothing takes it, by GPU where that is the reason. */
export function reasonsOf(cluster: Cluster, workload: WorkloadRecord, obstacle: Obstacle): ReasonCounts {
  switch (obstacle) {
    case 'limit':
      return one(isAboveLimitAlone(cluster, workload) ? 'ExceedsMaxQuota' : 'WaitingForQuota');
    case 'guarantee':
      return one('WaitingForGuarantee');
    case 'budget':
      return one('WaitingForBudget');
    case 'kept':
      return one('RoomIsKept');
    case 'evicting':
      return one('RoomIsMade');
    case 'room':
      return reasonsOfRoom(cluster, workload);
    default:
      return obstacle satisfies never;
  }
}

function one(reason: WaitingReason): ReasonCounts {
  return new Map([[reason, 1]]);
}

function reasonsOfRoom(cluster: Cluster, workload: WorkloadRecord): ReasonCounts {
  const { reasons, places } = censusOf(cluster, workload);
  if (places === 0) return reasons;
  // A limit may leave it only GPUs of a model that counts for less, and of these there are none.
  if (fitsWithoutLimits(cluster, workload)) return new Map([...reasons, ['WaitingForQuota', 1]]);
  const { least } = unitOf(cluster, workload);
  if (workload.gang !== undefined && least > places) return new Map([...reasons, ['WaitingForGang', least - places]]);
  const { together, apart } = workload.constraints ?? {};
  if (apart?.required === true || together?.some(({ required }) => required) === true) return new Map([...reasons, ['LocalityUnmet', 1]]);
  if (workload.gang !== undefined) return new Map([...reasons, ['WaitingForGang', 1]]);
  return new Map([...reasons, ['FragmentedSlots', (reasons.get('FragmentedSlots') ?? 0) + 1]]);
}

function fitsWithoutLimits(cluster: Cluster, workload: WorkloadRecord): boolean {
  return cluster.attempt(() => {
    liftLimits(cluster, workload.workspace);
    return tryNow(cluster, workload, 0).kind === 'bound';
  });
}

function isAboveLimitAlone(cluster: Cluster, workload: WorkloadRecord): boolean {
  return cluster.attempt(() => {
    for (const { id, workspace } of [...cluster.allocations.values()])
      if (workspace === workload.workspace) cluster.apply({ kind: 'allocation-released', id });
    const alone = tryNow(cluster, workload, 0);
    return alone.kind === 'no' && alone.obstacle === 'limit';
  });
}
