import { hasEnded, type WorkloadRecord } from '#core/cluster/records';
import { allocationChange, stepWorkload } from '#core/workload';
import type { Draft, Journal } from '../journal.ts';
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
    const stopped = stopOne(draft, found, deps.nowMs());
    if (stopped === undefined) throw new Refusal('already-ended', `${found.name} has ended`);
    return stopped;
  });
}

/** The same for every member that has not ended, in one go, so that none starts in the room that another leaves. */
export async function stopGang(deps: StopDeps, actor: string, members: readonly WorkloadRecord[]): Promise<readonly WorkloadRecord[]> {
  return deps.journal.commit(actor, (draft) => {
    const stopped = members.map((member) => [member, stopOne(draft, member, deps.nowMs())] as const);
    if (stopped.every(([, record]) => record === undefined))
      throw new Refusal('already-ended', `every member of ${members[0]?.gang?.name ?? 'the gang'} has ended`);
    return stopped.map(([member, record]) => record ?? member);
  });
}

/** `undefined` for what has ended. */
function stopOne(draft: Draft, found: WorkloadRecord, atMs: number): WorkloadRecord | undefined {
  const workload = draft.cluster.workloads.get(found.id);
  if (workload === undefined) return undefined;
  const next = stepWorkload(workload, { kind: 'stop-asked', atMs });
  if (next === workload) return workload;
  putWorkload(draft, next);
  draft.audit('stop', workload.id, workload.name);
  const allocation = next.allocation === undefined ? undefined : draft.cluster.allocations.get(next.allocation);
  const change = allocation === undefined ? undefined : allocationChange(allocation, next, undefined);
  if (change !== undefined) draft.apply(change);
  return next;
}
