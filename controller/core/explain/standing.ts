// Where a workload is that does not wait, in one sentence.

import { formatSlice } from '@astrago/shared/domain/mig/slice';
import type { Cluster } from '../cluster/cluster.ts';
import { hasEnded, type WorkloadRecord } from '../cluster/records.ts';
import { endReasons } from '../reason.ts';
import { declaredEndMs } from '../scheduling/expected-end.ts';
import { clockTime, duration, listed } from './words.ts';

/** Of work that was placed or has ended: where it is, what ended it, or for whom it was stopped. */
export function standingSentence(cluster: Cluster, record: WorkloadRecord, nowMs: number): string {
  if (hasEnded(record.phase)) return endedText(record);
  const { name, phase, eviction } = record;
  const place = placeText(cluster, record);
  if (phase === 'stopping' && eviction !== undefined) {
    const whom = cluster.workloads.get(eviction.beneficiary)?.name ?? eviction.beneficiary;
    return `${name} is being stopped on ${place} to make room for ${whom} (${eviction.cause}), and queues again.`;
  }
  if (phase === 'stopping') return `${name} does not wait: it is being stopped on ${place}.`;
  if (phase === 'starting') return `${name} does not wait: it is starting on ${place}.`;
  const since = record.startedAtMs === undefined ? '' : ` for ${duration(nowMs - record.startedAtMs)}`;
  return `${name} does not wait: it has been running on ${place}${since}${endText(record, nowMs)}.`;
}

function endText(record: WorkloadRecord, nowMs: number): string {
  const endMs = declaredEndMs(record);
  if (endMs === undefined) return '';
  return endMs <= nowMs
    ? `, and is ${duration(nowMs - endMs)} over the time it was expected to take`
    : `, and is expected to end in about ${duration(endMs - nowMs)} (${clockTime(endMs)} UTC)`;
}

function endedText({ name, phase, endReason, detail, exitCode, node, eviction }: WorkloadRecord): string {
  const why = endReason === undefined ? '' : `: ${endReasons[endReason]}`;
  // An exit code that is the whole detail is not told twice.
  const code = exitCode === undefined || exitCode === 0 ? '' : ` (exit code ${exitCode})`;
  const more = detail === undefined || detail === `exit code ${exitCode}` ? '' : `: ${detail}`;
  const where = node === undefined ? '' : ` on ${node}`;
  const before =
    eviction === undefined
      ? ''
      : ` It had been stopped ${eviction.count === 1 ? 'once' : `${eviction.count} times`} to make room for others.`;
  return `${name} has ${phase === 'cancelled' ? 'been cancelled' : phase}${where}${why}${code}${more}.${before}`;
}

/** `n1 (GPU 0, 3g.40gb@4)`. */
function placeText(cluster: Cluster, { node, devices }: WorkloadRecord): string {
  if (node === undefined) return 'its node';
  if (devices.length === 0) return node;
  const bySlice = devices.map(
    ({ gpu, slice }) => `${cluster.gpu(gpu)?.index ?? gpu}${slice === undefined ? '' : ` ${formatSlice(slice)}`}`,
  );
  return `${node} (${devices.length === 1 ? 'GPU' : 'GPUs'} ${listed(bySlice, 'and')})`;
}
