import type { WorkloadRecord } from './records.ts';

/** Waiting for so long is worth one point of priority, so that nothing is passed by for ever. */
const ageingMs = 3_600_000;

/** Higher priority first, as far as it is not outweighed by waiting; among equals in the order of submission. */
export function byRank(a: WorkloadRecord, b: WorkloadRecord): number {
  return rankOf(a) - rankOf(b) || b.priority - a.priority || a.sequence - b.sequence;
}

function rankOf({ submittedAtMs, priority }: WorkloadRecord): number {
  return submittedAtMs - priority * ageingMs;
}
