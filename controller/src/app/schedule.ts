import type { AllocationId } from '@astrago/shared/domain/ids';
import { formatSlice } from '@astrago/shared/domain/mig/slice';
import { decide } from '#core/scheduling/decide';
import type { Bind } from '#core/scheduling/decision';
import { applyBind } from '#core/scheduling/round';
import { stepWorkload } from '#core/workload';
import type { Journal } from './journal.ts';
import type { WaitingReasons } from './waiting.ts';

export interface ScheduleDeps {
  readonly journal: Journal;
  readonly waiting: WaitingReasons;
  readonly nextAllocationId: () => AllocationId;
  readonly nowMs: () => number;
  readonly onDecided: (facts: { readonly ms: number; readonly binds: number }) => void;
}

/** One look at the queue. Decided and committed in one go, so that nothing can change in between. */
export async function scheduleRound(deps: ScheduleDeps): Promise<void> {
  await deps.journal.commit('scheduler', (draft) => {
    const { cluster } = draft;
    const startMs = performance.now();
    const nowMs = deps.nowMs();
    const decision = decide(cluster, { nextAllocationId: deps.nextAllocationId, nowMs });
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
  });
}

function devicesText({ placement }: Bind): string {
  return placement.devices.map(({ gpu, slice }) => ` ${gpu}${slice === undefined ? '' : `/${formatSlice(slice)}`}`).join('');
}
