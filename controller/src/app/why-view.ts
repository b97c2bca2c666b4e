import type { Why } from '@astrago/api';
import type { z } from 'zod';
import type { Cluster } from '#core/cluster/cluster';
import type { WorkloadRecord } from '#core/cluster/records';
import { explain } from '#core/explain/explain';
import { standingSentence } from '#core/explain/standing';
import { traceOf } from '#core/explain/trace';
import { plain } from './plain.ts';

/** The answer in the shape of the API, whatever phase the workload is in. */
export function whyView(cluster: Cluster, record: WorkloadRecord, nowMs: number, withTrace: boolean): z.input<typeof Why> {
  const { name: workload, phase } = record;
  const trace = withTrace && phase === 'queued' ? plain(traceOf(cluster, record)) : undefined;
  const found = explain(cluster, record.id, nowMs);
  if (found !== undefined) return { workload, phase, ...plain(found), trace };
  return { workload, phase, sentence: standingSentence(cluster, record, nowMs), reason: record.endReason, counts: [], remedies: [], trace };
}
