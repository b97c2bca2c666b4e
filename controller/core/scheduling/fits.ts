import type { AllocationId } from '@astrago/shared/domain/ids';
import type { Cluster } from '../cluster/cluster.ts';
import type { WorkloadRecord } from '../cluster/records.ts';
import { placeUnit, type QueuedUnit, type UnitAnswer, unitsOf } from './gang.ts';
import { Round } from './round.ts';
import { type Scheduler, schedulerOf } from './scheduler.ts';

/** Ids of allocations that are only tried; never told to anyone. */
export function trialIds(): () => AllocationId {
  let made = 0;
  return () => {
    made += 1;
    return `trial_${String(made).padStart(8, '0')}` as AllocationId;
  };
}

/** What a queued workload is looked at with: the queued members of its gang, or itself. */
export function unitOf(cluster: Cluster, workload: WorkloadRecord): QueuedUnit {
  const queued = cluster.gangOf(workload).filter(({ phase }) => phase === 'queued');
  const unit = unitsOf(cluster, queued).find(({ members }) => members.some(({ id }) => id === workload.id));
  return unit ?? { members: [workload], least: 1 };
}

/** Where a queued workload would go if nobody stood before it. The cluster stays as it was. */
export function tryNow(cluster: Cluster, workload: WorkloadRecord, nowMs: number, scheduler: Scheduler = schedulerOf(cluster)): UnitAnswer {
  return cluster.attempt(() =>
    placeUnit(new Round(scheduler, { nextAllocationId: trialIds(), nowMs }), unitOf(cluster, workload), undefined),
  );
}
