import { describe, expect, it } from 'vitest';
import { allocationIds, h100, sampleCluster, sampleWorkload, slice, whole } from '../cluster/sample-cluster.ts';
import type { Demand } from '../placement/demand.ts';
import { expectedFill } from '../placement/policies/expected-fill.ts';
import { decide } from '../scheduling/decide.ts';
import { tryNow } from '../scheduling/fits.ts';
import { Scheduler } from '../scheduling/scheduler.ts';

const four = [h100, h100, h100, h100];

describe('the policy', () => {
  it('is made anew when something else is asked for, and then answers as one made now; not for more of the same', () => {
    const cluster = sampleCluster(['a', 'b', 'c'].map((name) => ({ name, gpus: four })));
    const demands: Demand[] = [];
    const scheduler = new Scheduler(cluster, ({ demand, capacity }) => {
      demands.push(demand);
      return expectedFill(demand, capacity);
    });
    let sequence = 0;
    const submit = (count: number, milli: number): void => {
      for (let at = 0; at < count; at += 1) {
        sequence += 1;
        const ask = { kind: 'share', by: 'mps', milli, memoryMiB: undefined } as const;
        cluster.apply({ kind: 'workload', record: sampleWorkload(sequence, ask, { phase: 'queued' }) });
        cluster.apply({ kind: 'workload', record: sampleWorkload(sequence, ask, { phase: 'cancelled' }) });
      }
      cluster.keep();
      decide(cluster, { nextAllocationId: allocationIds(), nowMs: 0 }, scheduler);
      scheduler.bays.refresh();
    };
    submit(100, 300);
    submit(2000, 300);
    const before = demands.length;
    for (let more = 0; more < 5; more += 1) submit(2000, 300);
    expect(demands).toHaveLength(before);
    submit(4000, 450);
    expect(demands).toHaveLength(before + 1);
    expect(demands.at(-1)?.classes.map(({ milli }) => milli)).toEqual([300, 450]);
    const fresh = new Scheduler(cluster);
    for (const ask of [whole(1), slice('2g.20gb'), { kind: 'share', by: 'mps', milli: 450, memoryMiB: undefined } as const])
      expect(tryNow(cluster, sampleWorkload(99_999, ask), 0, scheduler)).toEqual(tryNow(cluster, sampleWorkload(99_999, ask), 0, fresh));
  });
});
