import type { WorkspaceName } from '@astrago/shared/domain/ids';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { auditInvariants } from '../audit.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { WorkloadRecord, WorkspaceRecord } from '../cluster/records.ts';
import { h100, sampleCluster, sampleWorkload, slice, whole } from '../cluster/sample-cluster.ts';
import { Quotas } from '../quota/quotas.ts';
import { schedulerOf } from './scheduler.ts';
import { carryOut, look, submit } from './testing-rounds.ts';

const later = 10 * 60_000;
const named = (name: string): WorkspaceName => name as WorkspaceName;
/** A whole H100 is 7 compute and 8 memory slices. */
const gpus = (count: number): WorkspaceRecord['limit'] => ({ compute: 7 * count, memory: 8 * count });

function clusterOf(nodes: number, workspaces: readonly Partial<WorkspaceRecord>[]): Cluster {
  const cluster = sampleCluster(Array.from({ length: nodes }, (_, at) => ({ name: `n${at}`, gpus: [h100, h100] })));
  for (const record of workspaces)
    cluster.apply({ kind: 'workspace', record: { name: named('x'), limit: { compute: undefined, memory: undefined }, ...record } });
  cluster.keep();
  return cluster;
}

const work = (sequence: number, workspace: string, more: Partial<WorkloadRecord> = {}): WorkloadRecord =>
  sampleWorkload(sequence, whole(1), { workspace: named(workspace), interruptible: 'restart', ...more });

describe('what is guaranteed', () => {
  it('is lent out while it is idle, and given back when it is asked for', () => {
    const cluster = clusterOf(1, [
      { name: named('a'), guaranteed: gpus(1) },
      { name: named('b'), guaranteed: gpus(1) },
    ]);
    submit(cluster, work(1, 'a'), work(2, 'a'));
    const first = look(cluster, 0);
    expect(first.binds.map(({ borrowed }) => borrowed)).toEqual([false, true]);

    submit(cluster, work(3, 'b'));
    const second = look(cluster, later);

    expect(second.evictions).toMatchObject([{ workload: work(2, 'a').id, cause: 'reclaimed', beneficiary: work(3, 'b').id }]);
    carryOut(cluster, second, later);
    expect(look(cluster, later + 1).binds).toMatchObject([{ workload: work(3, 'b').id, borrowed: false }]);
  });

  it('is not lent to what may not be interrupted', () => {
    const cluster = clusterOf(1, [
      { name: named('a'), guaranteed: gpus(1) },
      { name: named('b'), guaranteed: gpus(1) },
    ]);
    submit(cluster, work(1, 'a', { interruptible: undefined }), work(2, 'a', { interruptible: undefined }));
    const { binds, waiting } = look(cluster, 0);
    expect(binds).toHaveLength(1);
    expect(waiting).toMatchObject([{ obstacle: 'guarantee' }]);
  });

  it('is not asked back by who would only borrow it', () => {
    const cluster = clusterOf(1, [{ name: named('a'), guaranteed: gpus(1) }, { name: named('b') }]);
    submit(cluster, work(1, 'b'), work(2, 'b'));
    look(cluster, 0);
    submit(cluster, work(3, 'a'));
    const reclaim = look(cluster, later);
    expect(reclaim.evictions).toHaveLength(1);
    carryOut(cluster, reclaim, later);
    look(cluster, later + 1);
    submit(cluster, work(4, 'a'));
    // It has its one GPU: the second would be borrowed, and b has the other for its own.
    expect(look(cluster, 2 * later).evictions).toEqual([]);
  });

  it('comes to what was borrowed when older work of the workspace ends', () => {
    const cluster = clusterOf(1, [
      { name: named('a'), guaranteed: gpus(1) },
      { name: named('b'), guaranteed: gpus(1) },
    ]);
    submit(cluster, work(1, 'a'), work(2, 'a'));
    const [own, borrowed] = look(cluster, 0).binds;
    if (own === undefined || borrowed === undefined) throw new Error('both run');
    cluster.apply({ kind: 'allocation-released', id: own.allocation });
    cluster.keep();
    expect(look(cluster, 1).relabels).toEqual([{ allocation: borrowed.allocation, borrowed: false }]);
  });

  it('that is set later is asked back from who had it all', () => {
    const cluster = clusterOf(1, [{ name: named('a') }]);
    submit(cluster, work(1, 'a'), work(2, 'a'));
    const [, younger] = look(cluster, 0).binds;
    cluster.apply({
      kind: 'workspace',
      record: { name: named('b'), limit: { compute: undefined, memory: undefined }, guaranteed: gpus(1) },
    });
    submit(cluster, work(3, 'b'));
    const decision = look(cluster, later);
    expect(decision.relabels).toEqual([{ allocation: younger?.allocation, borrowed: true }]);
    expect(decision.evictions).toMatchObject([{ allocation: younger?.allocation }]);
  });
});

describe('a cluster that became smaller', () => {
  it('has less that nobody is guaranteed: the youngest of what shared it borrows from then on', () => {
    const cluster = clusterOf(2, [{ name: named('a'), guaranteed: gpus(1) }, { name: named('c') }]);
    submit(cluster, work(1, 'c'), work(2, 'c'));
    const { binds } = look(cluster, 0);
    expect(binds.map(({ borrowed }) => borrowed)).toEqual([false, false]);
    const idle = [...cluster.observed.keys()].find((node) => cluster.allocationsOnNode(node).length === 0);
    if (idle === undefined) throw new Error('both are on one node');
    cluster.apply({ kind: 'observed-node-gone', name: idle });
    cluster.keep();
    expect(look(cluster, later).relabels).toEqual([{ allocation: binds[1]?.allocation, borrowed: true }]);
    expect(look(cluster, later + 1).relabels).toEqual([]);
  });
});

describe('more guaranteed than there is', () => {
  it('lets what runs stay, has the youngest that may be stopped borrow, and says so once', () => {
    const cluster = clusterOf(1, [{ name: named('a') }]);
    submit(cluster, work(1, 'a', { interruptible: undefined }), work(2, 'a'));
    const [, younger] = look(cluster, 0).binds;
    for (const name of ['b', 'c'])
      cluster.apply({
        kind: 'workspace',
        record: { name: named(name), limit: { compute: undefined, memory: undefined }, guaranteed: gpus(2) },
      });
    cluster.keep();
    expect(look(cluster, later)).toMatchObject({ relabels: [{ allocation: younger?.allocation, borrowed: true }], evictions: [] });
    expect(schedulerOf(cluster).quotas.isOverGuarantee).toBe(true);
    expect(look(cluster, 2 * later).relabels).toEqual([]);
  });
});

describe('whose turn it is', () => {
  it('goes round between workspaces by what they hold, also without any quota, and comes to unknown ones last', () => {
    const cluster = clusterOf(2, [{ name: named('a') }, { name: named('b') }]);
    const names = ['unknown', 'a', 'a', 'a', 'b', 'b'];
    submit(cluster, ...names.map((name, at) => work(at, name, { submittedAtMs: at })));
    const { binds, waiting } = look(cluster, 0);
    const workspacesOf = (of: readonly { readonly workload: string }[]): readonly string[] =>
      of.map(({ workload }) => [...cluster.workloads.values()].find(({ id }) => id === workload)?.workspace ?? '');
    expect(workspacesOf(binds)).toEqual(['a', 'b', 'a', 'b']);
    expect(workspacesOf(waiting).toSorted()).toEqual(['a', 'unknown']);
  });
});

function accountsOf(quotas: Quotas): unknown {
  return [...quotas.tree.nodes()].map(({ name, used, nonBorrowed, restUsed }) => [name, ...used, ...nonBorrowed, ...restUsed]);
}

describe('over any workspaces and any work', () => {
  const job = fc.record({
    workspace: fc.constantFrom('a', 'b', 'c', 'd'),
    ask: fc.oneof(fc.integer({ min: 1, max: 2 }).map(whole), fc.constantFrom('1g.10gb', '3g.40gb').map(slice)),
    priority: fc.integer({ min: 0, max: 2 }),
    mayBeStopped: fc.boolean(),
  });

  /** Of four GPUs: some guaranteed beside each other, or below another workspace that has work of its own; some in compute only. */
  const organisations = fc
    .record({ ofA: fc.nat(2), ofB: fc.nat(2), below: fc.boolean(), memoryToo: fc.boolean() })
    .map(({ ofA, ofB, below, memoryToo }): readonly Partial<WorkspaceRecord>[] => [
      { name: named('a'), guaranteed: gpus(ofA), ...(below ? { parent: named('c') } : {}) },
      { name: named('b'), guaranteed: memoryToo ? gpus(ofB) : { ...gpus(ofB), memory: undefined } },
      { name: named('c'), ...(below ? { guaranteed: gpus(2) } : {}) },
      { name: named('d'), ...(below ? { parent: named('c') } : {}) },
    ]);

  it('reclaim and preemption come to an end, nobody makes room twice for the same, and nothing is stopped in vain', () => {
    fc.assert(
      fc.property(fc.array(job, { minLength: 1, maxLength: 24 }), organisations, (jobs, workspaces) => {
        const cluster = clusterOf(2, workspaces);
        const served = new Set<string>();
        let nowMs = 0;
        let promised = new Set<string>();
        // Arrivals first, in two waves, and then only what they lead to.
        for (let round = 0; round < 60; round += 1) {
          nowMs += later;
          const wave = round === 0 ? jobs.slice(0, jobs.length / 2) : round === 1 ? jobs.slice(jobs.length / 2) : [];
          wave.forEach(({ workspace, ask, priority, mayBeStopped }, at) => {
            const more = {
              workspace: named(workspace),
              priority,
              submittedAtMs: nowMs,
              ...(mayBeStopped ? { interruptible: 'restart' as const } : {}),
            };
            submit(cluster, sampleWorkload(round * 100 + at, ask, more));
          });
          const decision = look(cluster, nowMs);
          const bound = new Set<string>(decision.binds.map(({ workload }) => workload));
          for (const beneficiary of promised) expect(bound.has(beneficiary)).toBe(true);
          for (const { workload, beneficiary } of decision.evictions) {
            expect(served.has(`${workload} ${beneficiary}`)).toBe(false);
            served.add(`${workload} ${beneficiary}`);
          }
          promised = new Set(decision.evictions.map(({ beneficiary }) => beneficiary));
          carryOut(cluster, decision, nowMs);
          expect(auditInvariants(cluster)).toEqual([]);
          const { quotas } = schedulerOf(cluster);
          expect(quotas.isOverGuarantee).toBe(false);
          // Counted along, through all that was tried and undone.
          expect(accountsOf(quotas)).toEqual(accountsOf(new Quotas(cluster)));
          if (round > 1 && decision.binds.length + decision.evictions.length === 0) return;
        }
        throw new Error('it goes on and on');
      }),
      { numRuns: 400 },
    );
  });
});
