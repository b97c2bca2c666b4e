import type { NodeName, ReservationName, WorkspaceName } from '@astrago/shared/domain/ids';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Cluster } from '../cluster/cluster.ts';
import type { NodeRecord, WorkloadRecord } from '../cluster/records.ts';
import { a30, h100, l40s, sampleCluster, sampleWorkload, whole } from '../cluster/sample-cluster.ts';
import { chooseNodes, type WantedNodes } from './choose-nodes.ts';
import { outlasting } from './outlasting.ts';
import { look, submit } from './testing-rounds.ts';

const hour = 3_600_000;
const [team, other] = ['team' as WorkspaceName, 'other' as WorkspaceName];
const wanted = (count: number, more: Partial<WantedNodes> = {}): WantedNodes => ({
  ...{ workspace: team, fromMs: 2 * hour, untilMs: 4 * hour, count, model: undefined, has: [] },
  ...more,
});

/** Nodes a, b, ... of one H100 each. */
function clusterOf(...names: readonly string[]): Cluster {
  const cluster = sampleCluster(names.map((name) => ({ name, gpus: [h100] })));
  for (const name of [team, other])
    cluster.apply({ kind: 'workspace', record: { name, limit: { compute: undefined, memory: undefined } } });
  cluster.keep();
  return cluster;
}

let sequence = 0;

/** Runs on the node from the hour 0 on. */
function run(cluster: Cluster, node: string, more: Partial<WorkloadRecord> = {}): void {
  sequence += 1;
  cluster.apply({ kind: 'node', record: { ...recordOf(cluster, node), labels: { only: node } } });
  submit(cluster, sampleWorkload(sequence, whole(1), { ...more, constraints: { nodeLabels: { only: node } } }));
  expect(look(cluster, 0).binds).toMatchObject([{ placement: { node } }]);
}

function recordOf(cluster: Cluster, node: string): NodeRecord {
  return cluster.nodes.get(node as NodeName) ?? expect.unreachable();
}

function reserve(
  cluster: Cluster,
  name: string,
  workspace: WorkspaceName,
  nodes: readonly string[],
  fromMs: number,
  untilMs: number,
): void {
  cluster.apply({
    kind: 'reservation',
    record: { name: name as ReservationName, workspace, nodes: nodes as readonly NodeName[], fromMs, untilMs },
  });
  cluster.keep();
}

describe('nodes that are chosen for a reservation', () => {
  it('have the least work in the way, and are the first by name of equals', () => {
    const cluster = clusterOf('a', 'b', 'c', 'd', 'e', 'f');
    run(cluster, 'a');
    run(cluster, 'b', { expectedSeconds: 3 * 3600 });
    run(cluster, 'c', { expectedSeconds: 3600 });
    run(cluster, 'd', { interruptible: 'restart' });
    run(cluster, 'e', { workspace: team });

    expect(chooseNodes(cluster, wanted(4), 0)).toEqual({ kind: 'chosen', nodes: ['c', 'd', 'e', 'f'] });
    expect(chooseNodes(cluster, wanted(1), 0)).toEqual({ kind: 'chosen', nodes: ['c'] });
    expect(chooseNodes(cluster, wanted(1, { fromMs: hour / 2 }), 0)).toEqual({ kind: 'chosen', nodes: ['d'] });
    expect(chooseNodes(cluster, wanted(5), 0)).toEqual({ kind: 'chosen', nodes: ['a', 'c', 'd', 'e', 'f'] });
  });

  it('have a GPU of the model', () => {
    const cluster = sampleCluster([
      { name: 'a', gpus: [l40s] },
      { name: 'b', gpus: [a30, h100] },
      { name: 'c', gpus: [] },
    ]);

    expect(chooseNodes(cluster, wanted(1, { model: 'h100' }), 0)).toEqual({ kind: 'chosen', nodes: ['b'] });
    expect(chooseNodes(cluster, wanted(3), 0)).toEqual({ kind: 'too-few', found: 2, reservedForOthers: 0 });
  });

  it('take new work, and those with a taint come last', () => {
    const cluster = clusterOf('a', 'b', 'c', 'd', 'e');
    cluster.apply({ kind: 'node', record: { ...recordOf(cluster, 'a'), cordoned: true } });
    cluster.apply({ kind: 'node', record: { ...recordOf(cluster, 'b'), taints: ['spot'] } });
    const [c, d] = (['c', 'd'] as NodeName[]).map((name) => cluster.observed.get(name) ?? expect.unreachable());
    if (c === undefined || d === undefined) return expect.unreachable();
    cluster.apply({ kind: 'observed-node', node: { ...c, state: 'unreachable' } });
    cluster.apply({ kind: 'observed-node', node: { ...d, conditions: [{ kind: 'disk-full', detail: 'so it is', sinceMs: 1 }] } });

    expect(chooseNodes(cluster, wanted(1), 0)).toEqual({ kind: 'chosen', nodes: ['e'] });
    expect(chooseNodes(cluster, wanted(2), 0)).toEqual({ kind: 'chosen', nodes: ['b', 'e'] });
    expect(chooseNodes(cluster, wanted(3), 0)).toEqual({ kind: 'too-few', found: 2, reservedForOthers: 0 });
  });

  it('are not those that others have at any part of the time', () => {
    const cluster = clusterOf('a', 'b', 'c', 'd', 'e');
    reserve(cluster, 'before', other, ['a'], hour, 2 * hour);
    reserve(cluster, 'into', other, ['b'], hour, 2 * hour + 1);
    reserve(cluster, 'within', other, ['c'], 3 * hour, 3 * hour + 1);
    reserve(cluster, 'own', team, ['d'], 2 * hour, 4 * hour);
    reserve(cluster, 'after', other, ['e'], 4 * hour, 5 * hour);

    expect(chooseNodes(cluster, wanted(3), 0)).toEqual({ kind: 'chosen', nodes: ['a', 'd', 'e'] });
    expect(chooseNodes(cluster, wanted(4), 0)).toEqual({ kind: 'too-few', found: 3, reservedForOthers: 2 });
  });

  it('are those that it has already, where they will do', () => {
    const cluster = clusterOf('a', 'b', 'c');
    run(cluster, 'c');
    reserve(cluster, 'theirs', other, ['b'], 0, 9 * hour);

    expect(chooseNodes(cluster, wanted(1, { has: ['b', 'c'] as NodeName[] }), 0)).toEqual({ kind: 'chosen', nodes: ['c'] });
  });

  it('never leave out one with less in the way', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('none', 'unknown', 'long', 'short'), { minLength: 1, maxLength: 8 }),
        fc.nat(8),
        (ends, more) => {
          const names = ends.map((_, index) => `n${index}`);
          const cluster = clusterOf(...names);
          for (const [index, end] of ends.entries())
            if (end !== 'none') run(cluster, `n${index}`, end === 'unknown' ? {} : { expectedSeconds: end === 'long' ? 3 * 3600 : 3600 });
          const count = 1 + (more % ends.length);
          const answer = chooseNodes(cluster, wanted(count), 0);
          if (answer.kind !== 'chosen') return expect.unreachable();
          const inTheWay = (name: string): number => outlasting(cluster, name as NodeName, wanted(1), 0).length;
          const left = names.filter((name) => !answer.nodes.includes(name as NodeName));
          expect(answer.nodes).toHaveLength(count);
          expect(Math.max(...answer.nodes.map(inTheWay))).toBeLessThanOrEqual(Math.min(1, ...left.map(inTheWay)));
          return undefined;
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe('work in the way of a reservation', () => {
  it('is told with its end where that is known, the first to end first', () => {
    const cluster = sampleCluster([{ name: 'a', gpus: [h100, h100, h100] }]);
    const [unknown, long, short] = [{}, { expectedSeconds: 4 * 3600 }, { expectedSeconds: 3600 }].map((more, at) =>
      sampleWorkload(900 + at, whole(1), more),
    );
    if (unknown === undefined || long === undefined || short === undefined) return expect.unreachable();
    submit(cluster, unknown, long, short);
    look(cluster, 0);
    const found = outlasting(cluster, 'a' as NodeName, wanted(1), 0);

    expect(found.map(({ allocation, endMs }) => [allocation.workload, endMs])).toEqual([
      [long.id, 4 * hour],
      [unknown.id, undefined],
    ]);
    // What has begun already is measured by now: the short one has outrun what it said by two hours.
    expect(outlasting(cluster, 'a' as NodeName, wanted(1), 3 * hour)).toHaveLength(3);
  });
});
