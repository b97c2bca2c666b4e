// Trying things on the cluster for one waiting workload, and undoing them.
import type { Change, Observation } from '../cluster/change.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { AllocationRecord, WorkloadRecord } from '../cluster/records.ts';
import { decide } from '../scheduling/decide.ts';
import type { Obstacle } from '../scheduling/decision.ts';
import { trialIds, tryNow, unitOf } from '../scheduling/fits.ts';
import { lookAtNode } from './node-look.ts';
import { type NodeView, nodeViews } from './node-view.ts';

export type Changes = readonly (Change | Observation)[];

export interface Trial {
  readonly cluster: Cluster;
  readonly workload: WorkloadRecord;
  /** What is looked at as one with it: itself, or the queued members of its gang. */
  readonly members: readonly WorkloadRecord[];
  /** So many of them start, or none does. */
  readonly least: number;
  /** So many queued workloads are looked at before it, and get first what they find room for. */
  readonly before: number;
  readonly nowMs: number;
  /** What stands in the way as things are. */
  readonly obstacle: Obstacle;
}

export function trialOf(cluster: Cluster, workload: WorkloadRecord, obstacle: Obstacle, nowMs: number): Trial {
  const { members, least } = unitOf(cluster, workload);
  const own = new Set(members.map(({ id }) => id));
  const before = cluster.queue().findIndex(({ id }) => own.has(id));
  return { cluster, workload, members, least, before: Math.max(0, before), nowMs, obstacle };
}

/** Whether it would find a place after the changes, and those before it in the queue would leave it that. */
export function fitsAfter(trial: Trial, changes: Changes): boolean {
  const { cluster, before } = trial;
  return cluster.attempt(() => {
    for (const change of changes) cluster.apply(change);
    return before === 0 ? fitsNow(trial) : hasPlaces(trial) && isStarted(trial);
  });
}

/** Whether there is a place for it now, if nobody stood before it. Counting places first saves most searches. */
export function fitsNow(trial: Trial): boolean {
  return hasPlaces(trial) && tryNow(trial.cluster, currentOf(trial), trial.nowMs).kind === 'bound';
}

function currentOf({ cluster, workload }: Trial): WorkloadRecord {
  return cluster.workloads.get(workload.id) ?? workload;
}

/** `false` only where it cannot fit, whatever the quotas say. */
export function hasPlaces(trial: Trial): boolean {
  const least = Math.min(trial.least, currentOf(trial).gang?.least ?? 1);
  let places = 0;
  for (const view of nodeViews(trial.cluster)) {
    places += placesOn(view, currentOf(trial));
    if (places >= least) return true;
  }
  return false;
}

export function placesOn(view: NodeView, ask: WorkloadRecord): number {
  return lookAtNode(view, ask, ignored);
}

function ignored(): void {
  // Only the places are asked for.
}

/** Whether the next decision starts it after the changes: what a remedy promises. */
export function startsAfter(trial: Trial, changes: Changes): boolean {
  const { cluster } = trial;
  return cluster.attempt(() => {
    for (const change of changes) cluster.apply(change);
    return isStarted(trial);
  });
}

function isStarted({ cluster, workload, nowMs }: Trial): boolean {
  return decide(cluster, { nextAllocationId: trialIds(), nowMs }).binds.some((bind) => bind.workload === workload.id);
}

/** The end of running work, as its agent would report it. */
export function endOf(cluster: Cluster, allocation: AllocationRecord): Changes {
  const released = { kind: 'allocation-released', id: allocation.id } as const;
  const workload = cluster.workloads.get(allocation.workload);
  return workload?.allocation === allocation.id
    ? [released, { kind: 'workload', record: { ...workload, phase: 'cancelled' } }]
    : [released];
}

/** How people call the work of an allocation: by name, or by its id once it has ended for its user. */
export function nameOf(cluster: Cluster, allocation: AllocationRecord): string {
  return cluster.workloads.get(allocation.workload)?.name ?? allocation.workload;
}

/** The same change for each queued member of its gang, or for it alone. */
export function changedAsk({ members }: Trial, change: (record: WorkloadRecord) => WorkloadRecord): Changes {
  return members.map((member) => ({ kind: 'workload', record: change(member) }));
}
