import type { NodeName, WorkloadId, WorkspaceName } from '@astrago/shared/domain/ids';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Cluster } from '../cluster/cluster.ts';
import type { WorkloadRecord, WorkspaceRecord } from '../cluster/records.ts';
import { h100, l40s, observedNode, sampleCluster, sampleWorkload, slice, whole } from '../cluster/sample-cluster.ts';
import { carryOut, look, submit } from '../scheduling/testing-rounds.ts';
import { previewWorkspace } from './preview.ts';

const later = 10 * 60_000;
const none = { compute: undefined, memory: undefined };
const named = (name: string): WorkspaceName => name as WorkspaceName;
/** A whole H100 is 7 compute and 8 memory slices. */
const gpus = (count: number): WorkspaceRecord['limit'] => ({ compute: 7 * count, memory: 8 * count });
const work = (sequence: number, workspace: string, more: Partial<WorkloadRecord> = {}): WorkloadRecord =>
  sampleWorkload(sequence, whole(1), { workspace: named(workspace), interruptible: 'restart', ...more });

function clusterOf(nodes: number, workspaces: readonly Partial<WorkspaceRecord>[]): Cluster {
  const cluster = sampleCluster(Array.from({ length: nodes }, (_, at) => ({ name: `n${at}`, gpus: [h100, h100] })));
  for (const record of workspaces) cluster.apply({ kind: 'workspace', record: { name: named('x'), limit: none, ...record } });
  cluster.keep();
  return cluster;
}

/** All of the cluster; maps as sets of entries, since no decision may depend on their order. */
function contentOf(cluster: Cluster): string {
  const maps = [cluster.workloads, cluster.allocations, cluster.layouts, cluster.nodes, cluster.workspaces, cluster.observed];
  return JSON.stringify([
    maps.map((map) => [...map.entries()].sort(([a], [b]) => (a < b ? -1 : 1))),
    ...[cluster.queue(), cluster.revision, cluster.mark(), cluster.asked.counts(), cluster.asked.ends],
  ]);
}

const job = fc.record({
  workspace: fc.constantFrom('a', 'b', 'c', 'b-1'),
  ask: fc.oneof({ weight: 2, arbitrary: fc.constantFrom(1, 1, 2).map(whole) }, fc.constantFrom('1g.10gb', '3g.40gb').map(slice)),
  priority: fc.integer({ min: 0, max: 2 }),
  mayBeStopped: fc.constantFrom(true, true, false),
});
const amounts = fc.option(fc.nat(4).map(gpus), { nil: undefined });
const spaces = fc.record({ a: amounts, b: amounts, limitOfC: amounts });
const change = fc.record({
  name: fc.constantFrom('a', 'b', 'c', 'b-1', 'new'),
  limit: amounts.map((limit) => limit ?? none),
  guaranteed: amounts,
  weight: fc.constantFrom(undefined, 3),
});
const story = fc.record({ spaces, first: fc.array(job, { maxLength: 14 }), second: fc.array(job, { maxLength: 10 }), change });

/** The same cluster each time: the first work has been placed, the second waits. */
function clusterAfter({ spaces: { a, b, limitOfC }, first, second }: typeof story extends fc.Arbitrary<infer S> ? S : never): Cluster {
  const cluster = clusterOf(2, [
    { name: named('a'), guaranteed: a },
    { name: named('b'), guaranteed: b },
    { name: named('b-1'), parent: named('b') },
    { name: named('c'), limit: limitOfC ?? none },
  ]);
  for (const [wave, jobs] of [first, second].entries()) {
    for (const [at, { workspace, ask, priority, mayBeStopped }] of jobs.entries()) {
      const interruptible = mayBeStopped ? ('restart' as const) : undefined;
      submit(cluster, sampleWorkload(100 * wave + at, ask, { workspace: named(workspace), priority, interruptible }));
    }
    if (wave === 0) look(cluster, 0);
  }
  return cluster;
}

/** Looks made for real until nothing comes of them, after the change where one is given. */
function lookForReal(cluster: Cluster, record: WorkspaceRecord | undefined) {
  if (record !== undefined) cluster.apply({ kind: 'workspace', record });
  cluster.keep();
  const ran = [...cluster.allocations.values()];
  const queued = new Set(cluster.queue().map(({ id }) => id));
  const stops = new Map<WorkloadId, WorkloadId>();
  const starts = new Set<WorkloadId>();
  const first = look(cluster, later);
  let last = first;
  const labels = new Map(ran.map(({ workload, borrowed }) => [workload, borrowed === true]));
  for (;;) {
    for (const { workload, id } of ran) {
      const allocation = cluster.allocations.get(id);
      if (allocation !== undefined) labels.set(workload, allocation.borrowed === true);
    }
    for (const { workload } of last.binds) starts.add(workload);
    for (const { workload, beneficiary } of last.evictions) if (!stops.has(workload)) stops.set(workload, beneficiary);
    if (last.binds.length + last.evictions.length === 0) break;
    carryOut(cluster, last, later);
    last = look(cluster, later);
  }
  return {
    ...{ stops, starts, queued, labels },
    stopsAtOnce: new Set(first.evictions.map(({ workload }) => workload)),
    startsAtOnce: new Set(first.binds.map(({ workload }) => workload)),
    waits: new Map(last.waiting.map(({ workload, obstacle }) => [workload, obstacle])),
  };
}

const minus = <T>(all: Iterable<T>, without: { has(one: T): boolean }): readonly T[] => [...all].filter((one) => !without.has(one)).sort();
const ids = (told: { readonly items: readonly { readonly id: WorkloadId }[] }): readonly WorkloadId[] =>
  told.items.map(({ id }) => id).sort();

describe('what a change of a workspace would do', () => {
  it('is what it does when it is made, and asking changes nothing', () => {
    const seen = {
      stopped: 0,
      spared: 0,
      started: 0,
      startedLater: 0,
      heldBack: 0,
      borrowed: 0,
      owned: 0,
      waitsOtherwise: 0,
      nothing: 0,
    };
    fc.assert(
      fc.property(story, (told) => {
        const cluster = clusterAfter(told);
        const { name, limit, guaranteed, weight } = told.change;
        const parent = cluster.workspaces.get(named(name))?.parent;
        const record: WorkspaceRecord = { name: named(name), parent, limit, guaranteed, weight };
        const content = contentOf(cluster);

        const preview = previewWorkspace(cluster, record, { nowMs: later });

        expect(contentOf(cluster)).toBe(content);
        const without = lookForReal(clusterAfter(told), undefined);
        const after = lookForReal(clusterAfter(told), record);
        expect(ids(preview.stopped)).toEqual(minus(after.stops.keys(), without.stops));
        for (const { id, beneficiary, startsAgain, afterStops } of preview.stopped.items)
          expect([beneficiary.id, startsAgain, afterStops]).toEqual([
            after.stops.get(id),
            after.starts.has(id),
            !after.stopsAtOnce.has(id),
          ]);
        expect(ids(preview.spared)).toEqual(minus(without.stops.keys(), after.stops));
        const started = minus(after.starts, without.starts).filter((id) => after.queued.has(id));
        expect(ids(preview.started)).toEqual(started);
        for (const { id, afterStops } of preview.started.items) expect(afterStops).toBe(!after.startsAtOnce.has(id));
        expect(ids(preview.heldBack)).toEqual(minus(without.starts, after.starts).filter((id) => after.queued.has(id)));
        const relabelled = [...after.labels].filter(([id, label]) => label !== without.labels.get(id) && !after.stops.has(id));
        expect(ids(preview.borrowed)).toEqual(relabelled.flatMap(([id, label]) => (label ? [id] : [])).sort());
        expect(ids(preview.owned)).toEqual(relabelled.flatMap(([id, label]) => (label ? [] : [id])).sort());
        const otherwise = [...after.waits].filter(([id, obstacle]) => {
          const before = without.waits.get(id);
          const waits = after.queued.has(id) && !after.starts.has(id) && !without.starts.has(id);
          return waits && before !== undefined && before !== obstacle;
        });
        expect(ids(preview.waitsOtherwise)).toEqual(otherwise.map(([id]) => id).sort());
        for (const { id, before, after: obstacle } of preview.waitsOtherwise.items)
          expect([before, obstacle]).toEqual([without.waits.get(id), after.waits.get(id)]);
        // The next real look here is that of a cluster that nobody asked anything of.
        expect(lookForReal(cluster, record)).toEqual(after);

        for (const kind of ['stopped', 'spared', 'started', 'heldBack', 'borrowed', 'owned', 'waitsOtherwise'] as const)
          if (preview[kind].count > 0) seen[kind] += 1;
        if (preview.started.items.some(({ afterStops }) => afterStops)) seen.startedLater += 1;
        if (preview.sentence.startsWith('Nothing')) seen.nothing += 1;
      }),
      { numRuns: 500, seed: 20_261 },
    );
    // Each kind of difference was there, and not by chance alone.
    for (const [kind, count] of Object.entries(seen)) expect([kind, count >= 5]).toEqual([kind, true]);
  }, 60_000);

  it('is told with names, the stopped first', () => {
    const cluster = clusterOf(1, [{ name: named('team-a') }, { name: named('team-b'), guaranteed: gpus(2) }]);
    submit(cluster, work(1, 'team-b'), work(2, 'team-b'));
    look(cluster, 0);
    submit(cluster, work(3, 'team-a'), work(4, 'team-a'));
    cluster.apply({ kind: 'workspace', record: { name: named('team-b'), limit: none } });
    cluster.keep();

    const preview = previewWorkspace(cluster, { name: named('team-a'), limit: none, guaranteed: gpus(2) }, { nowMs: later });

    expect(preview.sentence).toBe(
      'w2 of team-b would be stopped for w3 of team-a; w1 of team-b would be stopped for w4 of team-a; 2 waiting workloads would start, all once what is stopped has ended.',
    );
    expect(preview.started.items.map(({ afterStops }) => afterStops)).toEqual([true, true]);
  });

  it('puts those together who are stopped for the same work, and says which of them find another place', () => {
    const cluster = clusterOf(1, [{ name: named('team-a') }, { name: named('team-b') }]);
    submit(cluster, work(1, 'team-b'), work(2, 'team-b'));
    look(cluster, 0);
    const joined = { name: 'n9' as NodeName, address: undefined, cordoned: false, bootId: undefined };
    cluster.apply({ kind: 'node', record: joined });
    cluster.apply({ kind: 'observed-node', node: observedNode({ name: 'n9', gpus: [l40s] }) });
    submit(cluster, sampleWorkload(3, whole(2), { workspace: named('team-a') }));
    const share: WorkspaceRecord = { name: named('team-a'), limit: none, guaranteed: gpus(2) };

    const { sentence, stopped } = previewWorkspace(cluster, share, { nowMs: later });
    const protectedYet = previewWorkspace(cluster, share, { nowMs: later, protectionMs: 2 * later });

    expect(sentence).toBe(
      'w2 and w1 of team-b would be stopped for w3 of team-a; 1 of them would start again right after; 1 waiting workload would start, once what is stopped has ended.',
    );
    expect(stopped.items).toMatchObject([
      { name: 'w2', cause: 'reclaimed', afterStops: false },
      { name: 'w1', cause: 'reclaimed', afterStops: false },
    ]);
    expect(protectedYet.stopped.count).toBe(0);
  });

  it('tells who is spared and who is held back when a guarantee goes', () => {
    const cluster = clusterOf(1, [{ name: named('team-a'), guaranteed: gpus(2) }, { name: named('team-b') }]);
    submit(cluster, work(1, 'team-b'), work(2, 'team-b'));
    look(cluster, 0);
    submit(cluster, sampleWorkload(3, whole(2), { workspace: named('team-a') }));

    const { sentence } = previewWorkspace(cluster, { name: named('team-a'), limit: none }, { nowMs: later });

    expect(sentence).toBe(
      'w2 and w1 of team-b would no longer be stopped; w3 of team-a would no longer start; w1 and w2 of team-b would no longer count as borrowed.',
    );
  });

  it('counts what a raised limit lets start, and what a lowered one leaves above it at every level', () => {
    const cluster = clusterOf(1, [{ name: named('org') }, { name: named('team'), parent: named('org'), limit: gpus(1) }]);
    submit(cluster, work(1, 'team'), work(2, 'team'));
    look(cluster, 0);

    const raised = previewWorkspace(cluster, { name: named('team'), parent: named('org'), limit: gpus(2) }, { nowMs: later });
    const lowered = previewWorkspace(cluster, { name: named('org'), limit: { ...none, memory: 3 } }, { nowMs: later });

    expect(raised.sentence).toBe('1 waiting workload would start.');
    expect(raised.started.items).toMatchObject([{ name: 'w2', afterStops: false }]);
    expect(lowered.sentence).toBe('org would hold 8 memory slices, above its limit of 3 memory slices.');
    expect(lowered.overCommitted.items).toMatchObject([{ kind: 'use', workspace: 'org', amount: 8, bound: 3 }]);
  });

  it('warns of guarantees beyond what there is, and not of those that were so before', () => {
    const cluster = clusterOf(1, [{ name: named('a'), guaranteed: gpus(1) }]);
    const beyond: WorkspaceRecord = {
      name: named('b'),
      limit: none,
      guaranteed: { ...none, models: { h100: { compute: 14 }, a30: { memory: 1 } } },
    };

    const { sentence } = previewWorkspace(cluster, beyond, { nowMs: 0 });
    expect(sentence).toBe('all guarantees together would be 1 memory slice of a30, and there are 0 memory slices of a30.');
    cluster.apply({ kind: 'workspace', record: beyond });
    cluster.keep();
    expect(previewWorkspace(cluster, { ...beyond, weight: 2 }, { nowMs: 0 }).sentence).toBe(
      'Nothing that runs or waits now would fare otherwise.',
    );
  });

  it('names fifty and counts the rest', () => {
    const cluster = sampleCluster(Array.from({ length: 8 }, (_, at) => ({ name: `n${at}`, gpus: [h100] })));
    cluster.apply({ kind: 'workspace', record: { name: named('default'), limit: { ...none, compute: 0 } } });
    submit(cluster, ...Array.from({ length: 56 }, (_, at) => sampleWorkload(at, slice('1g.10gb'))));

    const { started, sentence } = previewWorkspace(cluster, { name: named('default'), limit: none }, { nowMs: 0 });

    expect([started.count, started.items.length]).toEqual([56, 50]);
    expect(sentence).toBe('56 waiting workloads would start.');
  });
});
