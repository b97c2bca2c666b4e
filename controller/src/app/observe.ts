// From what agents report of allocations to what it means for workloads.

import type { NodeName } from '@astrago/shared/domain/ids';
import { formatSlice, sameSlice } from '@astrago/shared/domain/mig/slice';
import type { Cluster } from '#core/cluster/cluster';
import type { ObservedAllocation, ObservedAllocationState } from '#core/cluster/observed';
import type { AllocationRecord, Phase, WorkloadRecord } from '#core/cluster/records';
import { allocationChange, stepWorkload } from '#core/workload';
import type { Draft, Journal } from './journal.ts';

export interface ObserveDeps {
  readonly journal: Journal;
  readonly nowMs: () => number;
}

/** Takes one node's report. Taking the same report twice changes nothing the second time. */
export async function observeAllocations(deps: ObserveDeps, node: NodeName, reports: readonly ObservedAllocation[]): Promise<void> {
  await deps.journal.commit('agent', (draft) => {
    for (const { id, state } of reports) {
      const allocation = draft.cluster.allocations.get(id);
      if (allocation?.node === node) take(draft, allocation, state, deps.nowMs());
    }
  });
}

function take(draft: Draft, allocation: AllocationRecord, state: ObservedAllocationState, atMs: number): void {
  const workload = draft.cluster.workloads.get(allocation.workload);
  const mine = workload?.allocation === allocation.id ? workload : undefined;
  const next = mine === undefined ? undefined : stepWorkload(mine, { kind: 'observed', state, atMs });
  if (next !== undefined && next !== mine) putWorkload(draft, next);
  const change = allocationChange(allocation, next, state);
  if (change === undefined) return;
  draft.apply(change);
  if (change.kind === 'allocation-released') beginElsewhere(draft, allocation);
  if (mine === undefined)
    draft.audit(change.kind === 'allocation-released' ? 'release' : 'order-stop', allocation.id, `on ${allocation.node}`);
  if (state.kind === 'failed' && (state.failure === 'create-failed' || state.failure === 'gpu-in-use'))
    forgetFailedLayouts(draft, allocation);
}

/** Work that has moved away has nothing left here, so that it may begin where it goes. */
function beginElsewhere(draft: Draft, gone: AllocationRecord): void {
  const next = draft.cluster.workloads.get(gone.workload)?.allocation;
  const waiting = next === undefined ? undefined : draft.cluster.allocations.get(next);
  if (waiting?.after === gone.id) draft.apply({ kind: 'allocation', record: { ...waiting, after: undefined } });
}

/** What the audit log calls the way into a phase; the others are told by the commands that lead there. */
const told: Readonly<Partial<Record<Phase, string>>> = {
  queued: 'requeue',
  running: 'run',
  succeeded: 'end',
  failed: 'end',
  cancelled: 'end',
};

export function putWorkload(draft: Draft, record: WorkloadRecord): void {
  const before = draft.cluster.workloads.get(record.id)?.phase;
  draft.apply({ kind: 'workload', record });
  const action = told[record.phase];
  if (action === undefined || before === record.phase) return;
  const why = [record.endReason, record.detail].filter((part) => part !== undefined).join(': ');
  draft.audit(action, record.id, `${record.name} ${record.phase}${why === '' ? '' : `: ${why}`}`);
}

/** What could not be made is not ordered any longer, so that the GPU is whole again for others. */
function forgetFailedLayouts(draft: Draft, allocation: AllocationRecord): void {
  for (const { gpu, slice } of allocation.devices) {
    const record = draft.cluster.layouts.get(gpu);
    if (record === undefined || record.pinned) continue;
    if (slice === undefined) {
      if (record.layout.kind !== 'whole' || isHeld(draft.cluster, allocation)) continue;
      draft.apply({ kind: 'layout-forgotten', gpu });
      draft.audit('forget-layout', gpu, 'whole could not be made');
    } else if (record.layout.kind === 'mig') {
      const slices = record.layout.slices.filter((other) => !sameSlice(other, slice));
      draft.apply({ kind: 'layout', record: { ...record, layout: { kind: 'mig', slices } } });
      draft.audit('forget-slice', gpu, `${formatSlice(slice)} could not be made`);
    }
  }
}

function isHeld(cluster: Cluster, except: AllocationRecord): boolean {
  return except.devices.some(({ gpu }) => cluster.allocationsOnGpu(gpu).some((other) => other.id !== except.id));
}
