// Rounds as the controller makes them, for tests of the pure core: decided, committed, and evictions carried out at once.
import type { Cluster } from '../cluster/cluster.ts';
import type { WorkloadRecord } from '../cluster/records.ts';
import { allocationIds } from '../cluster/sample-cluster.ts';
import { stepWorkload } from '../workload.ts';
import { decide } from './decide.ts';
import type { Decision } from './decision.ts';
import { applyBind } from './round.ts';

const nextAllocationId = allocationIds();

export function submit(cluster: Cluster, ...workloads: readonly WorkloadRecord[]): void {
  for (const record of workloads) cluster.apply({ kind: 'workload', record });
  cluster.keep();
}

/** Decides and commits, as the schedule loop does; who is evicted still runs. */
export function look(cluster: Cluster, nowMs: number): Decision {
  const decision = decide(cluster, { nextAllocationId, nowMs });
  for (const bind of decision.binds) {
    const workload = cluster.workloads.get(bind.workload);
    if (workload === undefined) throw new Error('bound work exists');
    applyBind(cluster, workload, bind, nowMs);
    const { allocation, placement } = bind;
    cluster.apply({ kind: 'workload', record: stepWorkload(workload, { kind: 'bound', allocation, placement, atMs: nowMs }) });
  }
  for (const { allocation: id, borrowed } of decision.relabels) {
    const record = cluster.allocations.get(id);
    if (record !== undefined) cluster.apply({ kind: 'allocation', record: { ...record, borrowed: borrowed || undefined } });
  }
  cluster.keep();
  return decision;
}

/** What the agent and the lifecycle make of it: the victims are gone and queue again. */
export function carryOut(cluster: Cluster, { evictions }: Decision, atMs: number): void {
  for (const { workload: id, allocation, cause, beneficiary, node } of evictions) {
    const workload = cluster.workloads.get(id);
    if (workload === undefined) throw new Error('a victim exists');
    cluster.apply({ kind: 'allocation-released', id: allocation });
    const evicted = stepWorkload(workload, { kind: 'evicted', eviction: { cause, beneficiary, node, atMs } });
    const exited = { kind: 'exited', exitCode: 143, startedAtMs: atMs, endedAtMs: atMs } as const;
    cluster.apply({ kind: 'workload', record: stepWorkload(evicted, { kind: 'observed', state: exited, atMs }) });
  }
  cluster.keep();
}
