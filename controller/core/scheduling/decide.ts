import type { AllocationId } from '@astrago/shared/domain/ids';
import type { Cluster } from '../cluster/cluster.ts';
import type { AllocationRecord, WorkloadRecord } from '../cluster/records.ts';
import type { WaitingReason } from '../reason.ts';
import type { Bind, Decision, Waiting } from './decision.ts';
import { type Ask, place, type ReasonCounts } from './place.ts';

/**
 * Looks at the queue in its order and says who goes where. The cluster is left as it was: binds are tried on it
 * one after the other, so that each sees the ones before, and undone.
 *
 * Work that does not fit is passed by: later, smaller work may start first. The head of the queue is looked at
 * first in every round, so what it needs is never given to others while it fits (I7).
 */
export function decide(cluster: Cluster, nextAllocationId: () => AllocationId): Decision {
  return cluster.attempt(() => {
    const binds: Bind[] = [];
    const waiting: Waiting[] = [];
    // A round only takes capacity away, so an ask that found no place finds none later in the round.
    const refused = new Map<string, WaitingReason>();
    for (const workload of cluster.queue()) {
      const key = askKey(workload);
      const known = refused.get(key);
      if (known !== undefined) {
        waiting.push({ workload: workload.id, reason: known });
        continue;
      }
      const answer = place(cluster, workload);
      if (answer.kind === 'no') {
        const reason = primaryReason(answer.reasons);
        refused.set(key, reason);
        waiting.push({ workload: workload.id, reason });
        continue;
      }
      const bind: Bind = { workload: workload.id, allocation: nextAllocationId(), placement: answer.placement };
      binds.push(bind);
      applyBind(cluster, workload, bind);
    }
    return { binds, waiting };
  });
}

/** Orders the layouts and makes the allocation; the workload's own record is the lifecycle's to change. */
export function applyBind(cluster: Pick<Cluster, 'apply'>, workload: WorkloadRecord, bind: Bind): void {
  for (const record of bind.placement.layouts) cluster.apply({ kind: 'layout', record });
  cluster.apply({ kind: 'allocation', record: allocationOf(workload, bind) });
}

function allocationOf(workload: WorkloadRecord, bind: Bind): AllocationRecord {
  return {
    id: bind.allocation,
    workload: workload.id,
    workspace: workload.workspace,
    node: bind.placement.node,
    devices: bind.placement.devices,
    units: bind.placement.units,
    cpuMilli: workload.cpuMilli,
    memoryMiB: workload.memoryMiB,
    intent: 'run',
  };
}

function askKey(ask: Ask): string {
  const gpus = ask.ask.kind === 'slice' ? ask.ask.profile : ask.ask.kind === 'whole' ? ask.ask.count : '-';
  return JSON.stringify([ask.workspace, gpus, ask.model, ask.cpuMilli, ask.memoryMiB]);
}

// From what mends itself soonest to what never does: a workload waits for the nearest thing that would let it go.
const nearestFirst: readonly WaitingReason[] = [
  'WaitingForQuota',
  'WaitingForSlots',
  'FragmentedSlots',
  'WaitingForCpu',
  'WaitingForMemory',
  'LayoutPinned',
  'NodeCordoned',
  'NodeUnreachable',
  'NodeUnhealthy',
  'CutByOther',
  'DeviceUnhealthy',
  'ExceedsMaxQuota',
  'TooFewGpusOnNode',
  'NoSuchProfileOnModel',
  'NoSuchModel',
  'NoNodes',
  'PendingEvaluation',
];

/** The one reason that stands for all counted ones. */
export function primaryReason(reasons: ReasonCounts): WaitingReason {
  return nearestFirst.find((reason) => reasons.has(reason)) ?? 'NoNodes';
}
