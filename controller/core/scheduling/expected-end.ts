import type { Cluster } from '../cluster/cluster.ts';
import type { AllocationRecord } from '../cluster/records.ts';

/**
 * When an allocation is expected to end, since the epoch; absent when it did not say how long it runs. Work that has
 * outrun what it said is expected to go on for half as long as it has run.
 */
export function expectedEndMs(cluster: Cluster, allocation: AllocationRecord, nowMs: number): number | undefined {
  const workload = cluster.workloads.get(allocation.workload);
  if (allocation.intent === 'stop' && workload !== undefined) return nowMs + 1000 * workload.graceSeconds;
  const { placedAtMs } = allocation;
  if (workload?.expectedSeconds === undefined || placedAtMs === undefined) return undefined;
  const begunAtMs = workload.startedAtMs ?? placedAtMs;
  const endsMs = begunAtMs + 1000 * workload.expectedSeconds;
  return endsMs > nowMs ? endsMs : nowMs + (nowMs - begunAtMs) / 2;
}
