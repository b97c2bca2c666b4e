import type { NodeName } from '@astrago/shared/domain/ids';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { h100, l40s, sampleCluster, sampleWorkload, slice, whole } from '../cluster/sample-cluster.ts';
import { tryNow } from '../scheduling/fits.ts';
import { round, troubledCluster, troubles } from './testing/random-cluster.ts';
import { traceOf } from './trace.ts';

describe('a trace', () => {
  it('tells who could take an ask, for what, and why the others do not', () => {
    const cluster = sampleCluster([
      { name: 'a', gpus: [h100, h100] },
      { name: 'b', gpus: [h100] },
      { name: 'c', gpus: [l40s] },
      { name: 'd', gpus: [h100] },
    ]);
    cluster.apply({ kind: 'workload', record: sampleWorkload(1, whole(1)) });
    round(cluster);
    const record = cluster.nodes.get('d' as NodeName) ?? expect.unreachable();
    cluster.apply({ kind: 'node', record: { ...record, cordoned: true } });

    const trace = traceOf(cluster, sampleWorkload(2, slice('3g.40gb')));

    expect(trace).toMatchObject({ candidateNodes: 2, rejectedNodes: 2 });
    expect(trace.candidates.map(({ node }) => node).sort()).toEqual(['a', 'b']);
    expect(trace.candidates[0]).toMatchObject({ model: 'NVIDIA H100 80GB HBM3', devices: [expect.stringMatching(/^\d 3g\.40gb@[04]$/)] });
    expect(trace.rejected).toEqual([
      { node: 'c', reason: 'NoSuchProfileOnModel', counts: [{ reason: 'NoSuchProfileOnModel', count: 1 }] },
      { node: 'd', reason: 'NodeCordoned', counts: [{ reason: 'NodeCordoned', count: 1 }] },
    ]);
  });

  it('names first where the ask would go, tells of no more than was asked for, and changes nothing', () => {
    fc.assert(
      fc.property(troubles, (trouble) => {
        const cluster = troubledCluster({ ...trouble, limit: undefined });
        const { revision } = cluster;
        for (const workload of cluster.queue().filter(({ gang }) => gang === undefined)) {
          const { candidates, rejected, candidateNodes, rejectedNodes } = traceOf(cluster, workload, { candidatesMax: 2, rejectedMax: 1 });
          const answer = tryNow(cluster, workload, 0);
          expect(candidates[0]?.node).toBe(answer.kind === 'bound' ? answer.binds[0]?.placement.node : undefined);
          expect(candidates.length).toBe(Math.min(2, candidateNodes));
          expect(rejected.length).toBe(Math.min(1, rejectedNodes));
          expect(candidateNodes + rejectedNodes).toBe(3);
        }
        expect(cluster.revision).toBe(revision);
      }),
      { numRuns: 60 },
    );
  }, 60_000);
});
