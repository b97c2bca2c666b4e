import { hasEnded, type WorkloadRecord } from '#core/cluster/records';
import { allocationChange, stepWorkload } from '#core/workload';
import type { Journal } from '../journal.ts';
import { putWorkload } from '../observe.ts';
import { Refusal } from '../refusal.ts';

export interface StopDeps {
  readonly journal: Journal;
  readonly nowMs: () => number;
}

/** Cancels what is queued, and orders to stop what is placed. Stopping what is stopping already changes nothing. */
export async function stop(deps: StopDeps, actor: string, found: WorkloadRecord): Promise<WorkloadRecord> {
  if (hasEnded(found.phase)) throw new Refusal('already-ended', `${found.name} has ${found.phase}`);
  return deps.journal.commit(actor, (draft) => {
    const workload = draft.cluster.workloads.get(found.id);
    if (workload === undefined) throw new Refusal('already-ended', `${found.name} has ended`);
    const next = stepWorkload(workload, { kind: 'stop-asked', atMs: deps.nowMs() });
    if (next === workload) return workload;
    putWorkload(draft, next);
    draft.audit('stop', workload.id, workload.name);
    const allocation = next.allocation === undefined ? undefined : draft.cluster.allocations.get(next.allocation);
    const change = allocation === undefined ? undefined : allocationChange(allocation, next, undefined);
    if (change !== undefined) draft.apply(change);
    return next;
  });
}
