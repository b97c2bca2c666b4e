import type { AllocationId, NodeName, WorkloadName, WorkspaceName } from '@astrago/shared/domain/ids';
import { parseLayoutRequest } from '@astrago/shared/domain/mig/request';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Cluster } from '../cluster/cluster.ts';
import type { WorkloadRecord } from '../cluster/records.ts';
import { h100, l40s, sampleCluster, sampleGpuUuid, sampleWorkload, slice, whole } from '../cluster/sample-cluster.ts';
import { planLayout } from '../repartition/plan.ts';
import { decide } from '../scheduling/decide.ts';
import { trialIds, tryNow } from '../scheduling/fits.ts';
import { censusOf } from './census.ts';
import { explain } from './explain.ts';
import type { Remedy, SmallerAsk } from './remedy.ts';
import { conditionsGone } from './testing/conditions-gone.ts';
import { round, troubledCluster, troubles } from './testing/random-cluster.ts';

/** Does what a remedy says, from its fields alone, as a person or a program would. */
function carryOut(cluster: Cluster, workload: WorkloadRecord, remedy: Remedy): void {
  const members = cluster.gangOf(workload).filter(({ phase }) => phase === 'queued');
  const change = (how: (record: WorkloadRecord) => WorkloadRecord): void => {
    for (const record of members) cluster.apply({ kind: 'workload', record: how(record) });
  };
  switch (remedy.kind) {
    case 'wait-turn': {
      const before = cluster.queue().slice(0, remedy.before);
      for (const record of before) cluster.apply({ kind: 'workload', record: { ...record, phase: 'cancelled' } });
      break;
    }
    case 'wait-ends':
      stop(cluster, remedy.workloads);
      break;
    case 'stop':
      stop(cluster, remedy.any ? remedy.workloads.slice(-1) : remedy.workloads);
      break;
    case 'smaller-ask':
      change((record) => smaller(record, remedy.ask));
      break;
    case 'relax': {
      const { tolerate = [], labels = [], localities = [], model } = remedy.terms;
      change((record) => ({
        ...record,
        model: model === undefined ? record.model : undefined,
        constraints: {
          nodeLabels: Object.fromEntries(Object.entries(record.constraints?.nodeLabels ?? {}).filter(([key]) => !labels.includes(key))),
          tolerations: [...(record.constraints?.tolerations ?? []), ...tolerate],
          together: record.constraints?.together?.map((wish) => ({ ...wish, required: wish.required && !localities.includes(wish.level) })),
          apart:
            record.constraints?.apart === undefined || localities.includes(record.constraints.apart.level)
              ? undefined
              : record.constraints.apart,
        },
      }));
      break;
    }
    case 'uncordon':
      for (const name of remedy.nodes) {
        const record = cluster.nodes.get(name as NodeName) ?? expect.unreachable();
        cluster.apply({ kind: 'node', record: { ...record, cordoned: false } });
      }
      break;
    case 'repartition':
      for (const { uuid, node, layout } of remedy.gpus) {
        const parsed = parseLayoutRequest(layout);
        if (parsed.kind !== 'request') throw new Error(layout);
        const plan = planLayout(cluster, uuid as never, parsed.request);
        if (plan.kind !== 'plan') throw new Error(`${layout}: ${plan.text}`);
        cluster.apply({ kind: 'layout', record: { gpu: uuid as never, node: node as NodeName, layout: plan.layout, pinned: true } });
      }
      break;
    case 'raise-limit': {
      const record = cluster.workspaces.get(remedy.workspace as WorkspaceName) ?? expect.unreachable();
      const { models: _models, ...to } = remedy.to;
      cluster.apply({ kind: 'workspace', record: { ...record, limit: { ...record.limit, ...to } } });
      break;
    }
    case 'mend':
      for (const { node, gpu } of remedy.things) conditionsGone(cluster, node as NodeName, gpu);
      break;
    default:
      remedy satisfies never;
  }
}

function smaller(record: WorkloadRecord, { gpus, profile, count, milli, cpuMilli, memoryMiB, members }: SmallerAsk): WorkloadRecord {
  const { ask, gang } = record;
  const next =
    profile !== undefined
      ? { ...slice(profile), count }
      : ask.kind === 'whole'
        ? { ...ask, count: gpus ?? ask.count }
        : ask.kind === 'share'
          ? { ...ask, milli: milli ?? ask.milli }
          : ask.kind === 'none'
            ? ask
            : { ...ask, count: count ?? ask.count ?? 1 };
  return {
    ...record,
    ask: next as WorkloadRecord['ask'],
    gang: gang === undefined ? gang : { ...gang, least: members ?? gang.least },
    cpuMilli: cpuMilli ?? record.cpuMilli,
    memoryMiB: memoryMiB ?? record.memoryMiB,
  };
}

function stop(cluster: Cluster, names: readonly string[]): void {
  for (const { id, workload } of [...cluster.allocations.values()]) {
    const record = cluster.workloads.get(workload);
    if (record === undefined || !names.includes(record.name)) continue;
    cluster.apply({ kind: 'allocation-released', id });
    cluster.apply({ kind: 'workload', record: { ...record, phase: 'cancelled' } });
  }
}

/** All of the cluster; maps as sets of entries, since no decision may depend on their order. */
function contentOf(cluster: Cluster): string {
  const maps = [cluster.workloads, cluster.allocations, cluster.layouts, cluster.nodes, cluster.workspaces, cluster.observed];
  return JSON.stringify([maps.map((map) => [...map.entries()].sort(([a], [b]) => (a < b ? -1 : 1))), cluster.queue(), cluster.revision]);
}

describe('a remedy', () => {
  it('makes it fit in the next decision when it is carried out, whatever it is; and asking changes nothing', () => {
    const seen = new Map<string, number>();
    fc.assert(
      fc.property(troubles, (trouble) => {
        const cluster = troubledCluster(trouble);
        round(cluster, laterIds());
        const before = contentOf(cluster);
        for (const workload of cluster.queue().slice(0, 4)) {
          const told = explain(cluster, workload.id, 0) ?? expect.unreachable();
          expect(contentOf(cluster)).toBe(before);
          expect(told.remedies.length).toBeLessThanOrEqual(6);
          for (const remedy of told.remedies) {
            seen.set(remedy.kind, (seen.get(remedy.kind) ?? 0) + 1);
            cluster.attempt(() => {
              carryOut(cluster, workload, remedy);
              const started = decide(cluster, { nextAllocationId: trialIds(), nowMs: 0 }).binds.map((bind) => bind.workload);
              expect(started, `${told.sentence} ${JSON.stringify(remedy)}`).toContain(workload.id);
            });
          }
        }
      }),
      { numRuns: 150, seed: 4711 },
    );
    expect([...seen.keys()].sort()).toEqual(
      expect.arrayContaining(['mend', 'raise-limit', 'relax', 'repartition', 'smaller-ask', 'stop', 'uncordon', 'wait-ends']),
    );
  }, 60_000);
});

describe('the census', () => {
  it('finds a place where the search finds one, and none where it finds none', () => {
    fc.assert(
      fc.property(troubles, (trouble) => {
        const cluster = troubledCluster({ ...trouble, limit: undefined });
        round(cluster, laterIds());
        for (const queued of cluster.queue()) {
          const workload = { ...queued, gang: undefined };
          cluster.attempt(() => {
            cluster.apply({ kind: 'workload', record: workload });
            expect(censusOf(cluster, workload).places > 0).toBe(tryNow(cluster, workload, 0).kind === 'bound');
          });
        }
      }),
      { numRuns: 80 },
    );
  }, 60_000);
});

function laterIds(): () => AllocationId {
  let made = 0;
  return () => {
    made += 1;
    return `alb_${String(made).padStart(8, '0')}` as AllocationId;
  };
}

function queue(cluster: Cluster, ...records: readonly WorkloadRecord[]): void {
  for (const record of records) cluster.apply({ kind: 'workload', record });
  cluster.keep();
}

const named = (sequence: number, name: string, more: Partial<WorkloadRecord> & { readonly ask: WorkloadRecord['ask'] }): WorkloadRecord =>
  sampleWorkload(sequence, more.ask, { ...more, name: name as WorkloadName });

describe('why', () => {
  it('says in words what is in the way of an eighth 1g.10gb, and what would help', () => {
    const cluster = sampleCluster([{ name: 'a', gpus: [h100] }]);
    queue(cluster, ...Array.from({ length: 8 }, (_, index) => sampleWorkload(index + 1, slice('1g.10gb'))));
    round(cluster);

    expect(explain(cluster, sampleWorkload(8, slice('1g.10gb')).id, 0)).toMatchObject({
      sentence:
        'w8 waits for a 1g.10gb slice: all that could hold it is in use. That is so for the 1 GPU looked at. It fits if any one of w1, w2, w3, w4, w5, w6 or w7 is stopped.',
      reason: 'WaitingForSlots',
    });
  });

  it('counts on those before it in the queue to take what becomes free first', () => {
    const cluster = sampleCluster([{ name: 'a', gpus: [h100, h100, h100] }]);
    queue(cluster, ...[1, 2, 3, 4, 5].map((sequence) => sampleWorkload(sequence, whole(1), { expectedSeconds: 600 * sequence })));
    round(cluster);

    const told = explain(cluster, sampleWorkload(5, whole(1)).id, 0);

    expect(told).toMatchObject({
      before: 1,
      remedies: [
        { kind: 'wait-ends', workloads: ['w1', 'w2'], atMs: 1_200_000 },
        { kind: 'stop', any: false },
      ],
    });
    expect(told?.remedies.find(({ kind }) => kind === 'stop')).toMatchObject({ workloads: { length: 2 } });
    expect(told?.sentence).toContain('1 workload before it in the queue goes first.');
  });

  it('says when running work that said how long it takes will have made room', () => {
    const cluster = sampleCluster([{ name: 'a', gpus: [h100, h100] }]);
    queue(
      cluster,
      named(1, 'train-6', { ask: whole(1), expectedSeconds: 9000 }),
      named(2, 'train-7', { ask: whole(1), expectedSeconds: 1500 }),
      named(3, 'next', { ask: whole(1) }),
    );
    round(cluster);

    expect(explain(cluster, sampleWorkload(3, whole(1)).id, 600_000)?.remedies[0]).toEqual({
      kind: 'wait-ends',
      workloads: ['train-7'],
      atMs: 1_500_000,
      text: 'will fit when train-7 ends, in about 15 min (00:25 UTC)',
    });
  });

  it('names the fewest cordoned nodes that a whole gang needs together', () => {
    const cluster = sampleCluster(['a', 'b', 'c', 'd'].map((name) => ({ name, gpus: [h100, h100] })));
    for (const name of ['b', 'c', 'd']) {
      const record = cluster.nodes.get(name as NodeName) ?? expect.unreachable();
      cluster.apply({ kind: 'node', record: { ...record, cordoned: true } });
    }
    const gang = { name: 'g', least: 3, members: 3 };
    queue(cluster, ...[1, 2, 3].map((sequence) => sampleWorkload(sequence, whole(2), { gang })));

    const told = explain(cluster, sampleWorkload(1, whole(2)).id, 0);

    expect(told).toMatchObject({ reason: 'WaitingForGang', gang: { members: 3, least: 3, places: 1, nodes: 1 } });
    expect(told?.remedies).toContainEqual({
      kind: 'uncordon',
      nodes: ['b', 'c'],
      gpus: 4,
      text: 'fits if nodes b and c are uncordoned (4 GPUs)',
    });
    expect(told?.sentence).toContain('It needs 3 x 2 GPUs at once, and 1 node could take a member now.');
  });

  it('says by how much which limit would have to be raised', () => {
    const cluster = sampleCluster([{ name: 'a', gpus: [h100] }]);
    cluster.apply({ kind: 'workspace', record: { name: 'default' as WorkspaceName, limit: { compute: 1, memory: undefined } } });
    queue(cluster, sampleWorkload(1, slice('3g.40gb')));

    const told = explain(cluster, sampleWorkload(1, slice('3g.40gb')).id, 0);

    expect(told?.reason).toBe('ExceedsMaxQuota');
    expect(told?.remedies).toContainEqual({
      kind: 'raise-limit',
      workspace: 'default',
      by: { compute: 2 },
      to: { compute: 3 },
      text: 'fits if the limit of default is raised by 2 compute slices',
    });
  });

  it('sees the limit behind GPUs that count for less and are all too few', () => {
    const cluster = sampleCluster([
      { name: 'a', gpus: [h100, h100, h100] },
      { name: 'b', gpus: [l40s] },
    ]);
    cluster.apply({ kind: 'workspace', record: { name: 'default' as WorkspaceName, limit: { compute: 10, memory: undefined } } });
    queue(cluster, sampleWorkload(1, whole(2)));

    const told = explain(cluster, sampleWorkload(1, whole(2)).id, 0);

    expect(told?.reason).toBe('WaitingForQuota');
    expect(told?.remedies.find(({ kind }) => kind === 'raise-limit')).toMatchObject({ by: { compute: 4 }, to: { compute: 14 } });
  });

  it('waits for nodes that do not answer, if these would do', () => {
    const cluster = sampleCluster([{ name: 'a', gpus: [h100] }]);
    const node = cluster.observed.get('a' as NodeName) ?? expect.unreachable();
    cluster.apply({ kind: 'observed-node', node: { ...node, state: 'unreachable' } });
    queue(cluster, sampleWorkload(1, whole(1)));

    expect(explain(cluster, sampleWorkload(1, whole(1)).id, 0)?.sentence).toBe(
      'w1 waits for 1 whole GPU: the node does not answer. That is so for the 1 GPU looked at. It fits if a answers again.',
    );
  });

  it('offers another cut of a pinned GPU, around what runs there', () => {
    const cluster = sampleCluster([{ name: 'a', gpus: [h100] }]);
    const slices = [0, 1, 2, 3].map((start) => ({ profile: '1g.10gb' as never, start }));
    cluster.apply({
      kind: 'layout',
      record: { gpu: sampleGpuUuid('a', 0), node: 'a' as NodeName, pinned: true, layout: { kind: 'mig', slices } },
    });
    queue(cluster, sampleWorkload(1, slice('1g.10gb')), sampleWorkload(2, slice('3g.40gb')));
    round(cluster);

    const told = explain(cluster, sampleWorkload(2, slice('3g.40gb')).id, 0);

    expect(told?.reason).toBe('LayoutPinned');
    expect(told?.remedies.find(({ kind }) => kind === 'repartition')?.text).toBe(
      'fits after a repartition of a/0 to 1g.10gb@0,1g.10gb@1,1g.10gb@2,1g.10gb@3,3g.40gb@4 (no one moves)',
    );
  });

  it('does not promise to the second in the queue what the first would take', () => {
    const cluster = sampleCluster([{ name: 'a', gpus: [h100] }]);
    queue(cluster, sampleWorkload(1, whole(1)), sampleWorkload(2, whole(1), { priority: 2 }), sampleWorkload(3, whole(1)));

    expect(explain(cluster, sampleWorkload(2, whole(1)).id, 0)?.reason).toBe('PendingEvaluation');
    const told = explain(cluster, sampleWorkload(3, whole(1)).id, 0);
    expect(told?.remedies).toContainEqual({ kind: 'wait-turn', before: 2, text: 'will fit at its turn: 2 workloads before it' });
  });

  it('is silent about workloads that it does not know, or that do not wait', () => {
    const cluster = sampleCluster([{ name: 'a', gpus: [h100] }]);
    queue(cluster, sampleWorkload(1, whole(1)));
    round(cluster);
    expect(explain(cluster, sampleWorkload(1, whole(1)).id, 0)).toBeUndefined();
    expect(explain(cluster, sampleWorkload(2, whole(1)).id, 0)).toBeUndefined();
  });
});
