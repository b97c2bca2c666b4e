import type { AllocationId } from '@astrago/shared/domain/ids';
import { formatSlice } from '@astrago/shared/domain/mig/slice';
import { decide } from '#core/scheduling/decide';
import type { Bind, Evict } from '#core/scheduling/decision';
import { applyBind } from '#core/scheduling/round';
import { allocationChange, stepWorkload } from '#core/workload';
import type { Draft, Journal } from './journal.ts';
import type { WaitingReasons } from './waiting.ts';

export interface ScheduleDeps {
  readonly journal: Journal;
  readonly waiting: WaitingReasons;
  readonly nextAllocationId: () => AllocationId;
  readonly nowMs: () => number;
  readonly protectionMs?: number | undefined;
  readonly onDecided: (facts: { readonly ms: number; readonly binds: number }) => void;
}

/** One look at the queue. Decided and committed in one go, so that nothing can change in between. */
export async function scheduleRound(deps: ScheduleDeps): Promise<void> {
  await deps.journal.commit('scheduler', (draft) => {
    const { cluster } = draft;
    const startMs = performance.now();
    const nowMs = deps.nowMs();
    const decision = decide(cluster, { nextAllocationId: deps.nextAllocationId, nowMs, protectionMs: deps.protectionMs });
    deps.onDecided({ ms: performance.now() - startMs, binds: decision.binds.length });
    deps.waiting.set(decision);
    for (const bind of decision.binds) {
      const workload = cluster.workloads.get(bind.workload);
      if (workload === undefined) continue;
      applyBind(draft, workload, bind, nowMs);
      draft.apply({
        kind: 'workload',
        record: stepWorkload(workload, { kind: 'bound', allocation: bind.allocation, placement: bind.placement, atMs: nowMs }),
      });
      draft.audit('place', workload.id, `${workload.name} on ${bind.placement.node}${devicesText(bind)}`);
    }
    for (const eviction of decision.evictions) evict(draft, eviction, nowMs);
    for (const { allocation: id, borrowed } of decision.relabels) {
      const allocation = cluster.allocations.get(id);
      if (allocation !== undefined) draft.apply({ kind: 'allocation', record: { ...allocation, borrowed: borrowed || undefined } });
    }
  });
}

/** Orders it to stop. It queues again once its node says that nothing of it runs any more. */
function evict(draft: Draft, { workload: id, allocation: held, cause, beneficiary, node }: Evict, atMs: number): void {
  const workload = draft.cluster.workloads.get(id);
  const allocation = draft.cluster.allocations.get(held);
  if (workload === undefined || allocation === undefined) return;
  const next = stepWorkload(workload, { kind: 'evicted', eviction: { cause, beneficiary, node, atMs } });
  draft.apply({ kind: 'workload', record: next });
  const change = allocationChange(allocation, next, undefined);
  if (change !== undefined) draft.apply(change);
  const name = draft.cluster.workloads.get(beneficiary)?.name ?? beneficiary;
  draft.audit('evict', id, `${workload.name} on ${node}, ${cause} for ${name}`);
}

function devicesText({ placement }: Bind): string {
  return placement.devices.map(({ gpu, slice }) => ` ${gpu}${slice === undefined ? '' : `/${formatSlice(slice)}`}`).join('');
}
