import type { NodeName, WorkloadName } from '@astrago/shared/domain/ids';
import { describe, expect, it } from 'vitest';
import type { WorkloadRecord } from '../cluster/records.ts';
import { h100, sampleCluster, sampleGpuUuid, sampleWorkload, slice } from '../cluster/sample-cluster.ts';
import { standingSentence } from './standing.ts';

const cluster = sampleCluster([{ name: 'a', gpus: [h100, h100] }]);
cluster.apply({ kind: 'workload', record: sampleWorkload(7, slice('1g.10gb'), { name: 'urgent' as WorkloadName }) });

const placed: Partial<WorkloadRecord> = {
  name: 'train' as WorkloadName,
  node: 'a' as NodeName,
  devices: [{ gpu: sampleGpuUuid('a', 1), slice: { profile: '3g.40gb' as never, start: 4 } }],
};
const tell = (more: Partial<WorkloadRecord>): string =>
  standingSentence(cluster, sampleWorkload(1, slice('3g.40gb'), { ...placed, ...more }), 3_600_000);

describe('work that does not wait', () => {
  it.each<[Partial<WorkloadRecord>, string]>([
    [{ phase: 'starting' }, 'train does not wait: it is starting on a (GPU 1 3g.40gb@4).'],
    [{ phase: 'running', startedAtMs: 0 }, 'train does not wait: it has been running on a (GPU 1 3g.40gb@4) for 60 min.'],
    [
      { phase: 'running', startedAtMs: 0, expectedSeconds: 5400 },
      'train does not wait: it has been running on a (GPU 1 3g.40gb@4) for 60 min, and is expected to end in about 30 min (01:30 UTC).',
    ],
    [
      { phase: 'running', startedAtMs: 0, expectedSeconds: 3000 },
      'train does not wait: it has been running on a (GPU 1 3g.40gb@4) for 60 min, and is 10 min over the time it was expected to take.',
    ],
    [{ phase: 'stopping' }, 'train does not wait: it is being stopped on a (GPU 1 3g.40gb@4).'],
    [
      {
        phase: 'stopping',
        eviction: { cause: 'preempted', beneficiary: sampleWorkload(7, slice('1g.10gb')).id, node: 'a' as NodeName, atMs: 1, count: 1 },
      },
      'train is being stopped on a (GPU 1 3g.40gb@4) to make room for urgent (preempted), and queues again.',
    ],
    [
      { phase: 'failed', endReason: 'command-failed', exitCode: 7, detail: 'exit code 7' },
      'train has failed on a: the command ended with another exit code than 0 (exit code 7).',
    ],
    [{ phase: 'succeeded', endReason: 'completed', exitCode: 0 }, 'train has succeeded on a: the command ended with exit code 0.'],
    [
      { phase: 'cancelled', endReason: 'cancelled-in-queue', node: undefined, devices: [] },
      'train has been cancelled: it was cancelled before it was placed.',
    ],
  ])('is told where it is, or what ended it (%#)', (more, sentence) => {
    expect(tell(more)).toBe(sentence);
  });
});
