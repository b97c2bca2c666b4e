import type { Cluster } from '../cluster/cluster.ts';
import type { AllocationRecord, WorkloadRecord } from '../cluster/records.ts';

/**
 * When an allocation is expected to end, since the epoch; absent when it did not say how long it runs. Work that has
 * outrun what it said is expected to go on for half as long as it has run.
 */
export function expectedEndMs(cluster: Cluster, allocation: AllocationRecord, nowMs: number): number | undefined {
  const workload = cluster.workloads.get(allocation.workload);
  if (allocation.intent === 'stop' && workload !== undefined) return nowMs + 1000 * workload.graceSeconds;
  const { placedAtMs } = allocation;
  if (workload === undefined || placedAtMs === undefined) return undefined;
  const begunAtMs = workload.startedAtMs ?? placedAtMs;
  const endsMs = declaredEndMs(workload, begunAtMs);
  if (endsMs === undefined) return undefined;
  return endsMs > nowMs ? endsMs : nowMs + (nowMs - begunAtMs) / 2;
}

/** When it said that it would end, also where that is over; absent when it did not say, or has not begun. */
export function declaredEndMs(
  { expectedSeconds, startedAtMs }: Pick<WorkloadRecord, 'expectedSeconds' | 'startedAtMs'>,
  begunAtMs: number | undefined = startedAtMs,
): number | undefined {
  return expectedSeconds === undefined || begunAtMs === undefined ? undefined : begunAtMs + 1000 * expectedSeconds;
}
