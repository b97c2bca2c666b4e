import type { NodeName } from '@astrago/shared/domain/ids';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { auditInvariants } from '../audit.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Constraints, Gang, WorkloadRecord } from '../cluster/records.ts';
import { allocationIds, h100, type SampleNode, sampleCluster, sampleWorkload, slice, whole } from '../cluster/sample-cluster.ts';
import { stepWorkload } from '../workload.ts';
import { decide } from './decide.ts';
import { applyBind } from './round.ts';

const eight = Array.from({ length: 8 }, (_, index) => ({ ...h100, nvlinkGroup: index < 4 ? 0 : 1, numaNode: index % 2 }));
const node = (name: string, gpus: number): SampleNode => ({ name, gpus: eight.slice(0, gpus) });

function label(cluster: Cluster, name: string, labels: Readonly<Record<string, string>>): void {
  cluster.apply({ kind: 'node', record: { name: name as NodeName, address: undefined, bootId: undefined, cordoned: false, labels } });
}

const one: Gang = { name: 'g', least: 2, members: 2 };

/** Members of a gang, from the first sequence on. */
function gang(first: number, gpus: readonly number[], facts: Gang, constraints?: Constraints): readonly WorkloadRecord[] {
  return gpus.map((count, at) =>
    sampleWorkload(first + at, whole(count), { gang: facts, ...(constraints === undefined ? {} : { constraints }) }),
  );
}

function submit(cluster: Cluster, ...workloads: readonly WorkloadRecord[]): void {
  for (const record of workloads) cluster.apply({ kind: 'workload', record });
  cluster.keep();
}

const nextId = allocationIds();

/** Decides and commits; the nodes of those that started, by name. */
function round(cluster: Cluster): Readonly<Record<string, string>> {
  const { binds } = decide(cluster, { nextAllocationId: nextId, nowMs: 0 });
  const started = binds.map((bind) => {
    const workload = cluster.workloads.get(bind.workload) ?? expect.unreachable();
    applyBind(cluster, workload, bind, 0);
    const event = { kind: 'bound', allocation: bind.allocation, placement: bind.placement, atMs: 0 } as const;
    cluster.apply({ kind: 'workload', record: stepWorkload(workload, event) });
    return [workload.name, bind.placement.node] as const;
  });
  cluster.keep();
  expect(auditInvariants(cluster)).toEqual([]);
  return Object.fromEntries(started);
}

function end(cluster: Cluster, sequence: number): void {
  const workload = cluster.workloads.get(sampleWorkload(sequence, whole(1)).id) ?? expect.unreachable();
  const state = { kind: 'exited', exitCode: 0, startedAtMs: 1, endedAtMs: 2 } as const;
  cluster.apply({ kind: 'workload', record: stepWorkload(workload, { kind: 'observed', state, atMs: 2 }) });
  if (workload.allocation !== undefined) cluster.apply({ kind: 'allocation-released', id: workload.allocation });
  cluster.keep();
}

describe('a gang', () => {
  it('starts together or not at all, and leaves the room that it could not use to others', () => {
    const cluster = sampleCluster([node('a', 3)]);
    submit(cluster, ...gang(1, [2, 2], one), sampleWorkload(9, whole(3)));
    expect(round(cluster)).toEqual({ w9: 'a' });
    end(cluster, 9);
    expect(round(cluster)).toEqual({});
  });

  it('starts with as many as must, and the others join as soon as there is room', () => {
    const cluster = sampleCluster([node('a', 3)]);
    submit(cluster, sampleWorkload(1, whole(1), { priority: 9 }), ...gang(2, [1, 1, 1], { name: 'g', least: 2, members: 3 }));
    expect(round(cluster)).toEqual({ w1: 'a', w2: 'a', w3: 'a' });
    end(cluster, 1);
    expect(round(cluster)).toEqual({ w4: 'a' });
  });

  it('does not wait for members that have ended', () => {
    const cluster = sampleCluster([node('a', 2)]);
    submit(cluster, ...gang(1, [2, 1, 1], { name: 'g', least: 3, members: 3 }));
    expect(round(cluster)).toEqual({});
    submit(cluster, { ...sampleWorkload(1, whole(2), { gang: { name: 'g', least: 3, members: 3 } }), phase: 'cancelled' });
    expect(round(cluster)).toEqual({ w2: 'a', w3: 'a' });
  });

  it('stands in the queue where its first member does, and those behind it stay behind it', () => {
    const cluster = sampleCluster([node('a', 2)]);
    submit(cluster, sampleWorkload(1, slice('9g.99gb'), { priority: 3 }), ...gang(2, [1, 1], one), sampleWorkload(8, whole(2)));
    expect(round(cluster)).toEqual({ w2: 'a', w3: 'a' });
  });

  it('at the head of the queue that fits starts in the next round, whatever is behind it', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }),
        fc.array(fc.integer({ min: 1, max: 8 })),
        (sizes, others) => {
          const cluster = sampleCluster([node('a', 8), node('b', 8)]);
          const facts = { name: 'g', least: sizes.length, members: sizes.length };
          const behind = others.map((count, at) => sampleWorkload(100 + at, whole(count)));
          submit(cluster, ...behind, ...gang(1, sizes, facts).map((member) => ({ ...member, priority: 5 })));
          expect(Object.keys(round(cluster))).toEqual(expect.arrayContaining(sizes.map((_, at) => `w${1 + at}`)));
        },
      ),
      { numRuns: 40 },
    );
  });

  it('is placed within a rack where it must be, also when a fuller rack cannot take all of it', () => {
    const racks = (cluster: Cluster): void =>
      ['a', 'b', 'c'].forEach((name, at) => void label(cluster, name, { rack: at < 2 ? 'r1' : 'r2' }));
    const together: Constraints = { together: [{ level: 'rack', required: true }] };
    const fits = sampleCluster([node('a', 2), node('b', 2), node('c', 3)]);
    racks(fits);
    submit(fits, ...gang(1, [2, 2], one, together));
    expect(round(fits)).toEqual({ w1: 'a', w2: 'b' });

    const tooFew = sampleCluster([node('a', 2), node('b', 1), node('c', 3)]);
    racks(tooFew);
    submit(tooFew, ...gang(1, [2, 2], one, together));
    expect(round(tooFew)).toEqual({});
    const wish: Constraints = { together: [{ level: 'rack', required: false }] };
    submit(tooFew, ...gang(11, [2, 2], { ...one, name: 'h' }, wish));
    expect(round(tooFew)).toEqual({ w11: 'a', w12: 'c' });
  });

  it('counts the room of a place by what its smallest member takes', () => {
    const cluster = sampleCluster([node('a', 8), node('b', 8)]);
    const together: Constraints = { together: [{ level: 'node', required: true }] };
    submit(cluster, ...gang(1, [4, 1, 1, 1], { name: 'g', least: 4, members: 4 }, together));
    expect(new Set(Object.values(round(cluster))).size).toBe(1);
    expect(cluster.queuedCount).toBe(0);
  });

  it('that grows joins its own in the place where they must be together', () => {
    const cluster = sampleCluster([node('a', 3), node('b', 8)]);
    const together: Constraints = { together: [{ level: 'node', required: true }] };
    submit(cluster, sampleWorkload(1, whole(8)), ...gang(2, [1, 1, 1, 1], { name: 'g', least: 2, members: 4 }, together));
    expect(round(cluster)).toEqual({ w1: 'b', w2: 'a', w3: 'a', w4: 'a' });
    end(cluster, 1);
    expect(round(cluster)).toEqual({});
    end(cluster, 2);
    expect(round(cluster)).toEqual({ w5: 'a' });
  });

  it('is spread over nodes where it must be, and where that is only wished starts all the same', () => {
    const spread = (required: boolean): Constraints => ({ apart: { level: 'node', required } });
    const two = sampleCluster([node('a', 8), node('b', 8)]);
    submit(two, ...gang(1, [1, 1], one, spread(true)));
    expect(new Set(Object.values(round(two)))).toEqual(new Set(['a', 'b']));

    const single = sampleCluster([node('a', 8)]);
    submit(single, ...gang(1, [1, 1], one, spread(true)));
    expect(round(single)).toEqual({});
    submit(single, ...gang(11, [1, 1], { ...one, name: 'h' }, spread(false)));
    expect(round(single)).toEqual({ w11: 'a', w12: 'a' });
  });
});

describe('GPUs of one workload', () => {
  const groupsOf = (cluster: Cluster, by: 'nvlinkGroup' | 'numaNode'): ReadonlySet<number | undefined> =>
    new Set([...cluster.allocations.values()].at(-1)?.devices.map(({ gpu }) => cluster.gpu(gpu)?.[by]));

  it.each(['nvlink', 'numa'] as const)('are of one group of %s where they must be, or are not given', (level) => {
    const cluster = sampleCluster([node('a', 8)]);
    const constraints: Constraints = { together: [{ level, required: true }] };
    submit(cluster, sampleWorkload(1, whole(4), { constraints }));
    round(cluster);
    expect(groupsOf(cluster, level === 'nvlink' ? 'nvlinkGroup' : 'numaNode').size).toBe(1);
    submit(cluster, sampleWorkload(2, whole(5), { constraints }), sampleWorkload(3, whole(4), { constraints }));
    expect(round(cluster)).toEqual({ w3: 'a' });
  });

  it('are close by where that is only wished, and given anyhow', () => {
    const cluster = sampleCluster([node('a', 8)]);
    const constraints: Constraints = { together: [{ level: 'numa', required: false }] };
    submit(cluster, sampleWorkload(1, whole(4), { constraints }));
    round(cluster);
    expect(groupsOf(cluster, 'numaNode').size).toBe(1);
    submit(cluster, sampleWorkload(2, whole(3), { constraints }), sampleWorkload(3, whole(1)));
    expect(round(cluster)).toEqual({ w2: 'a', w3: 'a' });
  });

  it('keep large groups of NVLink whole without being told to', () => {
    const cluster = sampleCluster([{ name: 'a', gpus: [...eight.slice(0, 4), ...eight.slice(4, 6)] }]);
    submit(cluster, sampleWorkload(1, whole(2)));
    round(cluster);
    expect([...groupsOf(cluster, 'nvlinkGroup')]).toEqual([1]);
  });
});
