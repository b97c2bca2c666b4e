import type { NodeName, ReservationName, WorkloadId, WorkspaceName } from '@astrago/shared/domain/ids';
import { describe, expect, it } from 'vitest';
import type { Cluster } from '../cluster/cluster.ts';
import { h100, sampleCluster, sampleWorkload, whole } from '../cluster/sample-cluster.ts';
import type { Decision } from './decision.ts';
import { look, submit } from './testing-rounds.ts';

const minute = 60_000;

function names({ binds }: Decision, cluster: Cluster): readonly (string | undefined)[] {
  return binds.map(({ workload }) => cluster.workloads.get(workload)?.name);
}

function obstacleOf({ waiting }: Decision, id: WorkloadId): string | undefined {
  return waiting.find(({ workload }) => workload === id)?.obstacle;
}

describe('work whose end is known', () => {
  it('lets what ends in time run before a large ask, and nothing else', () => {
    const cluster = sampleCluster([{ name: 'a', gpus: [h100, h100, h100, h100] }]);
    submit(cluster, sampleWorkload(1, whole(3), { expectedSeconds: 3600 }));
    look(cluster, 0);
    const large = sampleWorkload(2, whole(4));
    const short = sampleWorkload(5, whole(1), { expectedSeconds: 1800 });
    const long = sampleWorkload(3, whole(1), { expectedSeconds: 7200 });
    const unknown = sampleWorkload(4, whole(1));
    submit(cluster, large, long, unknown, short);

    const decision = look(cluster, minute);

    expect(names(decision, cluster)).toEqual([short.name]);
    expect(obstacleOf(decision, large.id)).toBe('room');
    expect(obstacleOf(decision, long.id)).toBe('kept');
    expect(obstacleOf(decision, unknown.id)).toBe('kept');
  });

  it('leaves to others what the large ask will not need', () => {
    const cluster = sampleCluster([{ name: 'a', gpus: [h100, h100, h100, h100] }]);
    submit(cluster, sampleWorkload(1, whole(3), { expectedSeconds: 3600 }));
    look(cluster, 0);
    const large = sampleWorkload(2, whole(3));
    const long = sampleWorkload(3, whole(1));
    submit(cluster, large, long);

    expect(names(look(cluster, minute), cluster)).toEqual([long.name]);
  });
});

describe('work whose end is not known', () => {
  it('does not starve a large ask for ever: after half an hour a node is kept for it', () => {
    const cluster = sampleCluster([
      { name: 'a', gpus: [h100, h100] },
      { name: 'b', gpus: [h100, h100] },
    ]);
    submit(cluster, sampleWorkload(1, whole(1)), sampleWorkload(2, whole(2)));
    look(cluster, 0);
    const large = sampleWorkload(3, whole(2), { submittedAtMs: 0 });
    submit(cluster, large, sampleWorkload(4, whole(1)));

    expect(names(look(cluster, 10 * minute), cluster)).toEqual(['w4']);
    const [first] = [...cluster.allocations.values()].filter(({ node }) => node === 'a');
    if (first === undefined) throw new Error('something runs there');
    cluster.apply({ kind: 'allocation-released', id: first.id });
    submit(cluster, sampleWorkload(5, whole(1)));

    const decision = look(cluster, 31 * minute);

    expect(decision.binds).toEqual([]);
    expect(obstacleOf(decision, sampleWorkload(5, whole(1)).id)).toBe('kept');
  });
});

describe('nodes that are reserved for a workspace', () => {
  const reserved = (fromMs: number): Cluster => {
    const cluster = sampleCluster([{ name: 'a', gpus: [h100] }]);
    cluster.apply({ kind: 'workspace', record: { name: 'team' as WorkspaceName, limit: { compute: undefined, memory: undefined } } });
    const record = {
      name: 'demo' as ReservationName,
      workspace: 'team' as WorkspaceName,
      nodes: ['a' as NodeName],
      fromMs,
      untilMs: fromMs + 60 * minute,
    };
    cluster.apply({ kind: 'reservation', record });
    cluster.keep();
    return cluster;
  };

  it('are kept from others that would not have ended before, and lent to those that may be interrupted', () => {
    for (const [workload, isPlaced] of [
      [sampleWorkload(1, whole(1)), false],
      [sampleWorkload(1, whole(1), { expectedSeconds: 7200 }), false],
      [sampleWorkload(1, whole(1), { expectedSeconds: 600 }), true],
      [sampleWorkload(1, whole(1), { interruptible: 'restart' }), true],
      [sampleWorkload(1, whole(1), { workspace: 'team' as WorkspaceName }), true],
    ] as const) {
      const cluster = reserved(60 * minute);
      submit(cluster, workload);
      expect(look(cluster, 0).binds).toHaveLength(isPlaced ? 1 : 0);
    }
  });

  it('are given back when they are claimed, and free for all when the time is over', () => {
    const cluster = reserved(60 * minute);
    submit(cluster, sampleWorkload(1, whole(1), { interruptible: 'restart' }));
    look(cluster, 0);
    submit(cluster, sampleWorkload(2, whole(1), { workspace: 'team' as WorkspaceName }));
    expect(look(cluster, 30 * minute).evictions).toEqual([]);
    expect(look(cluster, 61 * minute).evictions).toMatchObject([{ workload: sampleWorkload(1, whole(1)).id, cause: 'reclaimed' }]);

    const over = reserved(0);
    submit(over, sampleWorkload(1, whole(1)));
    expect(look(over, 30 * minute).binds).toEqual([]);
    expect(look(over, 60 * minute).binds).toHaveLength(1);
  });
});
