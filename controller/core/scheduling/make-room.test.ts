import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allocationIds, h100, sampleCluster, sampleWorkload, slice, whole } from '../cluster/sample-cluster.ts';
import { stepWorkload } from '../workload.ts';
import { decide } from './decide.ts';
import { carryOut, look, submit } from './testing-rounds.ts';

const later = 10 * 60_000;
const restartable = { interruptible: 'restart' } as const;
const nextAllocationId = allocationIds();

describe('preemption', () => {
  it('stops the least that lets higher priority of the workspace start, the youngest of the lowest priority', () => {
    const cluster = sampleCluster([{ name: 'a', gpus: [h100, h100] }]);
    submit(cluster, sampleWorkload(1, whole(1), restartable));
    look(cluster, 0);
    submit(cluster, sampleWorkload(2, whole(1), restartable));
    look(cluster, 1000);
    const urgent = sampleWorkload(3, whole(1), { priority: 5 });
    submit(cluster, urgent);

    const decision = look(cluster, later);

    expect(decision.evictions).toMatchObject([{ workload: sampleWorkload(2, whole(1)).id, cause: 'preempted', beneficiary: urgent.id }]);
    expect(decision.waiting).toEqual([{ workload: urgent.id, obstacle: 'evicting' }]);
  });

  it('gives what was freed to the one it was freed for, and stops nobody again', () => {
    const cluster = sampleCluster([{ name: 'a', gpus: [h100] }]);
    submit(cluster, sampleWorkload(1, whole(1), restartable));
    look(cluster, 0);
    const urgent = sampleWorkload(3, whole(1), { priority: 5 });
    submit(cluster, urgent);
    const first = look(cluster, later);
    carryOut(cluster, first, later);
    submit(cluster, sampleWorkload(4, whole(1), { priority: 9 }));

    const second = look(cluster, later + 1000);

    expect(second.binds.map(({ workload }) => workload)).toEqual([urgent.id]);
    expect(second.evictions).toEqual([]);
  });

  it('is not waited for when the room that was made is lost: others make room elsewhere', () => {
    const cluster = sampleCluster([
      { name: 'a', gpus: [h100] },
      { name: 'b', gpus: [h100] },
    ]);
    submit(cluster, sampleWorkload(1, whole(1), restartable), sampleWorkload(2, whole(1), restartable));
    look(cluster, 0);
    const urgent = sampleWorkload(3, whole(1), { priority: 5 });
    submit(cluster, urgent);
    const first = look(cluster, later);
    const [{ node, workload } = { node: undefined, workload: undefined }] = first.evictions;
    // Still ending: nobody else is stopped.
    const victim = workload === undefined ? undefined : cluster.workloads.get(workload);
    if (victim === undefined || node === undefined) throw new Error('somebody is stopped');
    const eviction = { cause: 'preempted', beneficiary: urgent.id, node, atMs: later } as const;
    cluster.apply({ kind: 'workload', record: stepWorkload(victim, { kind: 'evicted', eviction }) });
    cluster.keep();
    expect(look(cluster, later + 1)).toMatchObject({ evictions: [], waiting: [{ obstacle: 'evicting' }] });

    carryOut(cluster, first, later + 2);
    const observed = cluster.observed.get(node);
    if (observed === undefined) throw new Error('the node is there');
    cluster.apply({ kind: 'observed-node', node: { ...observed, state: 'unreachable' } });
    cluster.keep();

    const again = look(cluster, later + 3);
    expect(again.evictions).toHaveLength(1);
    expect(again.evictions[0]).toMatchObject({ beneficiary: urgent.id });
    expect(again.evictions[0]?.node).not.toBe(node);
  });

  it('leaves alone what may not be interrupted, has only just begun, or is as important', () => {
    for (const victim of [{}, { ...restartable, priority: 5 }] as const) {
      const cluster = sampleCluster([{ name: 'a', gpus: [h100] }]);
      submit(cluster, sampleWorkload(1, whole(1), victim));
      look(cluster, 0);
      submit(cluster, sampleWorkload(2, whole(1), { priority: 5 }));
      expect(look(cluster, later).evictions).toEqual([]);
    }
    const cluster = sampleCluster([{ name: 'a', gpus: [h100] }]);
    submit(cluster, sampleWorkload(1, whole(1), restartable));
    look(cluster, 0);
    submit(cluster, sampleWorkload(2, whole(1), { priority: 5 }));
    expect(look(cluster, 30_000).evictions).toEqual([]);
  });

  it('stops nobody where that would not be enough', () => {
    const cluster = sampleCluster([{ name: 'a', gpus: [h100, h100] }]);
    submit(cluster, sampleWorkload(1, whole(1), restartable), sampleWorkload(2, whole(1)));
    look(cluster, 0);
    submit(cluster, sampleWorkload(3, whole(2), { priority: 5 }));
    expect(look(cluster, later).evictions).toEqual([]);
  });

  it('prefers victims that are together no more than what is asked for', () => {
    const cluster = sampleCluster([
      { name: 'a', gpus: [h100, h100] },
      { name: 'b', gpus: [h100, h100] },
    ]);
    submit(cluster, sampleWorkload(1, whole(1), restartable), sampleWorkload(2, whole(1), restartable));
    look(cluster, 0);
    submit(cluster, sampleWorkload(3, whole(2), restartable));
    look(cluster, 1000);
    submit(cluster, sampleWorkload(4, whole(1), { priority: 5 }));

    const [victim, ...others] = look(cluster, later).evictions;

    expect(others).toEqual([]);
    expect(victim?.workload).not.toBe(sampleWorkload(3, whole(2)).id);
  });

  it('makes room for a gang on several nodes, or for none of it', () => {
    const cluster = sampleCluster([
      { name: 'a', gpus: [h100] },
      { name: 'b', gpus: [h100] },
    ]);
    submit(cluster, sampleWorkload(1, whole(1), restartable), sampleWorkload(2, whole(1), restartable));
    look(cluster, 0);
    const gang = { name: 'g', least: 2, members: 2 };
    submit(cluster, sampleWorkload(3, whole(1), { priority: 5, gang }), sampleWorkload(4, whole(1), { priority: 5, gang }));
    expect(look(cluster, later).evictions).toHaveLength(2);

    const pinned = sampleCluster([
      { name: 'a', gpus: [h100] },
      { name: 'b', gpus: [h100] },
    ]);
    submit(pinned, sampleWorkload(1, whole(1), restartable), sampleWorkload(2, whole(1)));
    look(pinned, 0);
    submit(pinned, sampleWorkload(3, whole(1), { priority: 5, gang }), sampleWorkload(4, whole(1), { priority: 5, gang }));
    expect(look(pinned, later).evictions).toEqual([]);
  });

  it('is never in vain: who was made room for starts in the round after, and without any one victim it would not', () => {
    const job = fc.record({
      ask: fc.oneof(fc.integer({ min: 1, max: 2 }).map(whole), fc.constantFrom('1g.10gb', '2g.20gb', '3g.40gb').map(slice)),
      priority: fc.integer({ min: 0, max: 2 }),
      restartable: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(job, { minLength: 1, maxLength: 14 }), job, (jobs, claimant) => {
        const cluster = sampleCluster([
          { name: 'a', gpus: [h100, h100] },
          { name: 'b', gpus: [h100] },
        ]);
        jobs.forEach(({ ask, priority, restartable: may }, at) => {
          submit(cluster, sampleWorkload(at, ask, { priority, ...(may ? restartable : {}) }));
          look(cluster, at);
        });
        // Only the claimant is left to wait.
        for (const { id } of cluster.queue()) {
          const record = cluster.workloads.get(id);
          if (record !== undefined) cluster.apply({ kind: 'workload', record: { ...record, phase: 'cancelled' } });
        }
        const urgent = sampleWorkload(99, claimant.ask, { priority: 3 });
        submit(cluster, urgent);
        const decision = look(cluster, later);
        if (decision.evictions.length === 0) return;
        for (const spared of decision.evictions) {
          const without = { ...decision, evictions: decision.evictions.filter((one) => one !== spared) };
          const binds = cluster.attempt(() => {
            for (const { allocation } of without.evictions) cluster.apply({ kind: 'allocation-released', id: allocation });
            return decide(cluster, { nextAllocationId, nowMs: 0 }).binds;
          });
          expect(binds).toEqual([]);
        }
        carryOut(cluster, decision, later);
        expect(look(cluster, later + 1).binds.map(({ workload }) => workload)).toContain(urgent.id);
      }),
      { numRuns: 200 },
    );
  });
});
