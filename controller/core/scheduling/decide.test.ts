import type { WorkspaceName } from '@astrago/shared/domain/ids';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { auditInvariants } from '../audit.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { GpuAsk, WorkloadRecord } from '../cluster/records.ts';
import { a30, allocationIds, h100, l40s, sampleCluster, sampleWorkload, slice, whole } from '../cluster/sample-cluster.ts';
import { stepWorkload } from '../workload.ts';
import { decide } from './decide.ts';
import { tryNow } from './fits.ts';
import { applyBind } from './round.ts';

function submit(cluster: Cluster, workloads: readonly WorkloadRecord[]): void {
  for (const record of workloads) cluster.apply({ kind: 'workload', record });
  cluster.keep();
}

/** Decides and commits, as the schedule loop does. */
function round(cluster: Cluster, nextId = allocationIds()): ReturnType<typeof decide> {
  const decision = decide(cluster, { nextAllocationId: nextId, nowMs: 0 });
  for (const bind of decision.binds) {
    const workload = cluster.workloads.get(bind.workload);
    if (workload === undefined) throw new Error('bound work exists');
    applyBind(cluster, workload, bind, 0);
    cluster.apply({
      kind: 'workload',
      record: stepWorkload(workload, { kind: 'bound', allocation: bind.allocation, placement: bind.placement, atMs: 0 }),
    });
  }
  cluster.keep();
  return decision;
}

/** All of the cluster; maps as sets of entries, since no decision may depend on their order. */
function snapshot(cluster: Cluster): string {
  const maps = [cluster.workloads, cluster.allocations, cluster.layouts, cluster.nodes, cluster.workspaces, cluster.observed];
  return JSON.stringify([
    maps.map((map) => [...map.entries()].sort(([a], [b]) => (a < b ? -1 : 1))),
    cluster.queue(),
    cluster.revision,
    cluster.gpus().map((gpu) =>
      cluster
        .allocationsOnGpu(gpu.uuid)
        .map((allocation) => allocation.id)
        .sort(),
    ),
  ]);
}

const asks: fc.Arbitrary<GpuAsk> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .constantFrom('1g.10gb', '1g.20gb', '2g.20gb', '3g.40gb', '4g.40gb', '7g.80gb', '1g.10gb+me', '1g.6gb', '2g.12gb', '9g.99gb')
      .map(slice),
  },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 4 }).map(whole) },
  { weight: 1, arbitrary: fc.constant<GpuAsk>({ kind: 'none' }) },
);

const work = fc.array(
  fc.record({ ask: asks, cpuMilli: fc.integer({ min: 0, max: 40_000 }), priority: fc.integer({ min: 0, max: 2 }), ends: fc.boolean() }),
  { maxLength: 40 },
);

function mixedCluster(): Cluster {
  return sampleCluster([
    { name: 'a', gpus: [h100, h100] },
    { name: 'b', gpus: [a30, l40s, h100] },
  ]);
}

describe('decide', () => {
  it('places seven of ten 1g.10gb on one H100 and lets three wait', () => {
    const cluster = sampleCluster([{ name: 'a', gpus: [h100] }]);
    submit(
      cluster,
      Array.from({ length: 10 }, (_, index) => sampleWorkload(index, slice('1g.10gb'))),
    );

    const decision = round(cluster);

    expect(decision.binds).toHaveLength(7);
    expect(decision.waiting.map(({ obstacle }) => obstacle)).toEqual(['room', 'room', 'room']);
    expect(auditInvariants(cluster)).toEqual([]);
  });

  it('packs small slices on the GPU that is already open and leaves a whole one free', () => {
    const cluster = sampleCluster([{ name: 'a', gpus: [h100, h100] }]);
    submit(cluster, [
      sampleWorkload(1, slice('1g.10gb')),
      sampleWorkload(2, slice('2g.20gb')),
      sampleWorkload(3, slice('3g.40gb')),
      sampleWorkload(4, whole(1)),
    ]);

    const { binds } = round(cluster);

    const gpus = binds.map((bind) => bind.placement.devices[0]?.gpu);
    expect(new Set(gpus.slice(0, 3)).size).toBe(1);
    expect(gpus[3]).not.toBe(gpus[0]);
  });

  it('takes higher priority first and equal priority in order of submission', () => {
    const cluster = sampleCluster([{ name: 'a', gpus: [h100] }]);
    submit(cluster, [
      sampleWorkload(1, whole(1)),
      sampleWorkload(2, whole(1), { priority: 5 }),
      sampleWorkload(3, whole(1), { priority: 5 }),
    ]);

    const { binds, waiting } = round(cluster);

    expect(binds.map((bind) => bind.workload)).toEqual([sampleWorkload(2, whole(1)).id]);
    expect(waiting).toHaveLength(2);
  });

  it('keeps a workspace within its limit in slice units', () => {
    const cluster = sampleCluster([{ name: 'a', gpus: [h100] }]);
    cluster.apply({ kind: 'workspace', record: { name: 'default' as WorkspaceName, limit: { compute: 3, memory: undefined } } });
    submit(cluster, [
      sampleWorkload(1, slice('2g.20gb')),
      sampleWorkload(2, slice('2g.20gb')),
      sampleWorkload(3, slice('1g.10gb')),
      sampleWorkload(4, slice('7g.80gb')),
    ]);

    const { binds, waiting } = round(cluster);

    expect(binds).toHaveLength(2);
    expect(waiting.map(({ obstacle }) => obstacle)).toEqual(['limit', 'limit']);
  });

  it('finds the places of a gang that is to stay together at the very first look', () => {
    const cluster = mixedCluster();
    const gang = { name: 'g', least: 2, members: 2 };
    const together = [{ level: 'node', required: true }];
    submit(
      cluster,
      [1, 2].map((sequence) => sampleWorkload(sequence, slice('1g.10gb'), { gang, constraints: { together } })),
    );

    const { binds } = round(cluster);

    expect(new Set(binds.map(({ placement }) => placement.node)).size).toBe(1);
    expect(binds).toHaveLength(2);
  });

  it('leaves the cluster bit for bit as it was and gives the same answer again', () => {
    fc.assert(
      fc.property(work, (items) => {
        const cluster = mixedCluster();
        submit(
          cluster,
          items.map((item, index) => sampleWorkload(index, item.ask, { cpuMilli: item.cpuMilli, priority: item.priority })),
        );
        const before = snapshot(cluster);

        const first = decide(cluster, { nextAllocationId: allocationIds(), nowMs: 0 });

        expect(snapshot(cluster)).toBe(before);
        expect(decide(cluster, { nextAllocationId: allocationIds(), nowMs: 0 })).toEqual(first);
      }),
    );
  });

  it('never breaks an invariant, over rounds of arrivals and ends', () => {
    fc.assert(
      fc.property(work, work, (first, second) => {
        const cluster = mixedCluster();
        const nextId = allocationIds();
        let sequence = 0;
        const next = (): number => {
          sequence += 1;
          return sequence;
        };
        for (const items of [first, second]) {
          submit(
            cluster,
            items.map((item) => sampleWorkload(next(), item.ask, { cpuMilli: item.cpuMilli, priority: item.priority })),
          );
          const { binds, waiting } = round(cluster, nextId);
          expect(auditInvariants(cluster)).toEqual([]);
          expect(new Set([...binds, ...waiting].map((one) => one.workload)).size).toBe(binds.length + waiting.length);
          for (const [index, bind] of binds.entries()) {
            if (items[index]?.ends !== true) continue;
            const workload = cluster.workloads.get(bind.workload);
            if (workload === undefined) continue;
            cluster.apply({
              kind: 'workload',
              record: stepWorkload(workload, {
                kind: 'observed',
                state: { kind: 'exited', exitCode: 0, startedAtMs: 1, endedAtMs: 2 },
                atMs: 2,
              }),
            });
            cluster.apply({ kind: 'allocation-released', id: bind.allocation });
            cluster.keep();
          }
          expect(auditInvariants(cluster)).toEqual([]);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('starts what is first in the queue in the very next round, if it fits', () => {
    fc.assert(
      fc.property(work, asks, (items, ask) => {
        const cluster = mixedCluster();
        submit(
          cluster,
          items.map((item, index) => sampleWorkload(index, item.ask, { priority: item.priority })),
        );
        const nextId = allocationIds();
        round(cluster, nextId);
        const head = sampleWorkload(5000, ask, { priority: 100 });
        submit(cluster, [head]);
        const fits = tryNow(cluster, head, 0).kind === 'bound';

        const { binds } = round(cluster, nextId);

        expect(binds.some((bind) => bind.workload === head.id)).toBe(fits);
      }),
    );
  });

  it('never moves or recuts a slice in use', () => {
    fc.assert(
      fc.property(work, work, (first, second) => {
        const cluster = mixedCluster();
        submit(
          cluster,
          first.map((item, index) => sampleWorkload(index, item.ask)),
        );
        const nextId = allocationIds();
        round(cluster, nextId);
        const held = [...cluster.allocations.values()];

        submit(
          cluster,
          second.map((item, index) => sampleWorkload(1000 + index, item.ask)),
        );
        round(cluster, nextId);

        for (const allocation of held) expect(cluster.allocations.get(allocation.id)).toEqual(allocation);
        expect(auditInvariants(cluster)).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });
});
