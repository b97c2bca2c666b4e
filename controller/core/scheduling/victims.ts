// Who may be stopped for a unit, the best victims first.
import type { AllocationId, WorkspaceName } from '@astrago/shared/domain/ids';
import type { AllocationRecord, WorkloadRecord } from '../cluster/records.ts';
import { admit } from './admission.ts';
import type { QueuedUnit } from './gang.ts';
import { ownerOf } from './holds.ts';
import type { Candidate } from './make-room.ts';
import { reservedNodes } from './reserved-nodes.ts';
import type { Round } from './round.ts';

/**
 * Of its own workspace what has less priority; of others what they have borrowed, if the unit is within the guarantee of
 * its workspace, and what runs on nodes that are reserved for it. First of those who have most beyond their guarantee,
 * then the least important, then the youngest.
 */
export function candidatesFor(round: Round, unit: QueuedUnit): readonly Candidate[] {
  const { cluster, nowMs } = round;
  const [claimant] = unit.members;
  if (claimant === undefined) return [];
  const reserved = reservedNodes(cluster, claimant.workspace, nowMs);
  const mayReclaim = isGuaranteed(round, unit, claimant);
  const own = cluster
    .stoppableOf(claimant.workspace)
    .filter(({ priority }) => priority < claimant.priority)
    .flatMap(({ id }) => cluster.allocationsOf(id));
  const others = [...(mayReclaim ? cluster.borrowed() : []), ...[...reserved].flatMap((node) => cluster.allocationsOnNode(node))];
  const found = new Map<AllocationId, Candidate>();
  for (const allocation of own) found.set(allocation.id, { allocation, cause: 'preempted' });
  for (const allocation of others)
    if (allocation.workspace !== claimant.workspace) found.set(allocation.id, { allocation, cause: 'reclaimed' });
  const stoppable = [...found.values()].filter(({ allocation }) => {
    const workload = cluster.workloads.get(allocation.workload);
    return workload !== undefined && mayBeStopped(round, workload, allocation, claimant);
  });
  return inOrder(round, stoppable);
}

function inOrder(round: Round, candidates: Candidate[]): readonly Candidate[] {
  const { cluster, scheduler } = round;
  const surplus = new Map<WorkspaceName, number>();
  const surplusOf = (workspace: WorkspaceName): number => {
    const known = surplus.get(workspace) ?? scheduler.quotas.surplusOf(workspace);
    surplus.set(workspace, known);
    return known;
  };
  const priorityOf = (allocation: AllocationRecord): number => cluster.workloads.get(allocation.workload)?.priority ?? 0;
  return candidates.sort(
    ({ allocation: a }, { allocation: b }) =>
      surplusOf(b.workspace) - surplusOf(a.workspace) ||
      priorityOf(a) - priorityOf(b) ||
      (b.placedAtMs ?? 0) - (a.placedAtMs ?? 0) ||
      (a.id < b.id ? 1 : -1),
  );
}

/** Whether all of it that must start is within what its workspace is guaranteed. */
function isGuaranteed({ scheduler }: Round, { least }: QueuedUnit, claimant: WorkloadRecord): boolean {
  if (!scheduler.quotas.tree.hasPromises) return false;
  return scheduler.variantsOf(claimant).some((variant) => {
    const units = { compute: least * variant.units.compute, memory: least * variant.units.memory };
    const ask = { ...variant.ask, cpuMilli: least * claimant.cpuMilli, memoryMiB: least * claimant.memoryMiB };
    const admission = admit(scheduler, claimant, { ...variant, ask, units });
    return admission.kind === 'admitted' && !admission.borrowed;
  });
}

function mayBeStopped(
  { cluster, nowMs, protectionMs }: Round,
  workload: WorkloadRecord,
  allocation: AllocationRecord,
  claimant: WorkloadRecord,
): boolean {
  if (workload.interruptible === undefined || allocation.intent === 'stop' || workload.allocation !== allocation.id) return false;
  // Nobody makes room twice for the same unit.
  const earlier = workload.eviction === undefined ? undefined : cluster.workloads.get(workload.eviction.beneficiary);
  if (earlier !== undefined && ownerOf(earlier) === ownerOf(claimant)) return false;
  return nowMs - (allocation.placedAtMs ?? 0) >= protectionMs;
}
