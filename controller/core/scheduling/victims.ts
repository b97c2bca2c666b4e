// Who may be stopped for a workload, the best victims first.
import type { AllocationRecord, WorkloadRecord } from '../cluster/records.ts';
import type { Candidate } from './make-room.ts';
import { reservedNodes } from './reserved-nodes.ts';
import type { Round } from './round.ts';

/** Work that has only just started is let run for a while: stopping it again at once would get nobody anywhere. */
const protectionMs = 60_000;

export function candidatesFor(round: Round, claimant: WorkloadRecord): readonly Candidate[] {
  const { cluster } = round;
  const own = reservedNodes(cluster, claimant.workspace, round.nowMs);
  const found: Candidate[] = [];
  for (const allocation of cluster.allocations.values()) {
    const workload = cluster.workloads.get(allocation.workload);
    if (workload === undefined || !mayBeStopped(workload, allocation, claimant, round.nowMs)) continue;
    if (allocation.workspace === claimant.workspace && workload.priority < claimant.priority)
      found.push({ allocation, cause: 'preempted' });
    else if (allocation.workspace !== claimant.workspace && (allocation.borrowed === true || own.has(allocation.node)))
      found.push({ allocation, cause: 'reclaimed' });
  }
  const priorityOf = ({ allocation }: Candidate): number => cluster.workloads.get(allocation.workload)?.priority ?? 0;
  const placedAt = ({ allocation }: Candidate): number => allocation.placedAtMs ?? 0;
  return found.sort((a, b) => priorityOf(a) - priorityOf(b) || placedAt(b) - placedAt(a) || (a.allocation.id < b.allocation.id ? -1 : 1));
}

function mayBeStopped(workload: WorkloadRecord, allocation: AllocationRecord, claimant: WorkloadRecord, nowMs: number): boolean {
  if (workload.interruptible === undefined || allocation.intent === 'stop' || workload.allocation !== allocation.id) return false;
  // Nobody makes room twice for the same workload.
  if (workload.eviction?.beneficiary === claimant.id) return false;
  return nowMs - (allocation.placedAtMs ?? 0) >= protectionMs;
}
