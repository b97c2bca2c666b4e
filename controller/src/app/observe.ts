// From what agents report of allocations to what it means for workloads.
import type { Cluster } from '#core/cluster/cluster';
import type { ObservedAllocation, ObservedAllocationState } from '#core/cluster/observed';
import type { AllocationRecord, WorkloadRecord } from '#core/cluster/records';
import { hasEnded } from '#core/cluster/records';
import { allocationChange, stepWorkload } from '#core/workload';
import type { NodeName } from '@astrago/shared/domain/ids';
import { sameSlice } from '@astrago/shared/domain/mig/slice';
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
  if (state.kind === 'failed' && (state.failure === 'create-failed' || state.failure === 'gpu-in-use')) forgetFailedLayouts(draft, allocation);
}

export function putWorkload(draft: Draft, record: WorkloadRecord): void {
  draft.apply({ kind: 'workload', record });
  if (hasEnded(record.phase)) draft.audit('end', record.id, `${record.name} ${record.phase}: ${record.endReason ?? ''}`);
}

/** What could not be made is not ordered any longer, so that the GPU is whole again for others. */
function forgetFailedLayouts(draft: Draft, allocation: AllocationRecord): void {
  for (const { gpu, slice } of allocation.devices) {
    const record = draft.cluster.layouts.get(gpu);
    if (record === undefined || record.pinned) continue;
    if (slice === undefined) {
      if (record.layout.kind === 'whole' && !isHeld(draft.cluster, allocation)) draft.apply({ kind: 'layout-forgotten', gpu });
    } else if (record.layout.kind === 'mig') {
      const slices = record.layout.slices.filter((other) => !sameSlice(other, slice));
      draft.apply({ kind: 'layout', record: { ...record, layout: { kind: 'mig', slices } } });
    }
  }
}

function isHeld(cluster: Cluster, except: AllocationRecord): boolean {
  return except.devices.some(({ gpu }) => cluster.allocationsOnGpu(gpu).some((other) => other.id !== except.id));
}
