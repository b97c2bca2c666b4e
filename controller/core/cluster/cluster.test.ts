import type { NodeName } from '@astrago/shared/domain/ids';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Asked } from './asked.ts';
import { h100, observedNode, sampleCluster, sampleWorkload, whole } from './sample-cluster.ts';

describe('the queue', () => {
  it('is in the order of priority, then submission, whatever came and went', () => {
    const events = fc.array(fc.record({ sequence: fc.nat(30), priority: fc.nat(3), queued: fc.boolean() }), { maxLength: 80 });
    fc.assert(
      fc.property(events, (all) => {
        const cluster = sampleCluster([]);
        for (const { sequence, priority, queued } of all)
          cluster.apply({
            kind: 'workload',
            record: sampleWorkload(sequence, whole(1), { priority, phase: queued ? 'queued' : 'running' }),
          });
        const expected = [...cluster.workloads.values()].filter(({ phase }) => phase === 'queued');
        expected.sort((a, b) => b.priority - a.priority || a.sequence - b.sequence);
        expect(cluster.queue()).toEqual(expected);
        expect(cluster.queuedCount).toBe(expected.length);
        cluster.undoTo(0);
        expect(cluster.queue()).toEqual([]);
      }),
    );
  });

  it('that was handed out does not change', () => {
    const cluster = sampleCluster([]);
    cluster.apply({ kind: 'workload', record: sampleWorkload(1, whole(1)) });
    const before = cluster.queue();
    cluster.apply({ kind: 'workload', record: sampleWorkload(1, whole(1), { phase: 'running' }) });
    expect(before).toHaveLength(1);
  });
});

describe('a report of a node', () => {
  const report = (changed: object = {}, gpu: object = {}) => {
    const node = structuredClone(observedNode({ name: 'a', gpus: [h100, h100] }));
    return { ...node, ...changed, gpus: node.gpus.map((one) => ({ ...one, ...(one.index === 1 ? gpu : {}) })) };
  };

  it('that says what was said before is told to nobody, and keeps the GPUs that are known', () => {
    const cluster = sampleCluster([{ name: 'a', gpus: [h100, h100] }]);
    const told: string[] = [];
    cluster.watch((node) => told.push(node));
    const before = cluster.observed.get('a' as NodeName);
    cluster.apply({ kind: 'observed-node', node: report({ lastSeenMs: 99 }) });
    expect(told).toEqual([]);
    expect(cluster.observed.get('a' as NodeName)).toMatchObject({ lastSeenMs: 99 });
    expect(cluster.observed.get('a' as NodeName)?.gpus).toBe(before?.gpus);
  });

  it.each([
    ['its CPU', report({ cpuMilli: 1 })],
    ['its memory', report({ memoryMiB: 1 })],
    ['its state', report({ state: 'unreachable' })],
    ['its health', report({ conditions: [{ kind: 'disk-full', detail: 'full', sinceMs: 1 }] })],
    ['the health of a GPU', report({}, { conditions: [{ kind: 'gpu-lost', detail: 'lost', sinceMs: 1 }] })],
    ['how a GPU is cut', report({}, { migEnabled: true })],
    ['how a GPU can be cut', report({}, { grid: undefined })],
    ['where a GPU is linked', report({}, { nvlinkGroup: 3 })],
  ])('that changes %s is told, and is what is shown', (_what, node) => {
    const cluster = sampleCluster([{ name: 'a', gpus: [h100, h100] }]);
    const told: string[] = [];
    cluster.watch((name) => told.push(name));
    cluster.apply({ kind: 'observed-node', node: node as never });
    expect(told).toEqual(['a']);
    expect(cluster.observed.get('a' as NodeName)).toEqual(node);
    expect(cluster.gpus().map(({ uuid }) => cluster.gpu(uuid))).toEqual(node.gpus);
    cluster.undoTo(0);
    expect(cluster.observed.get('a' as NodeName)?.gpus[1]?.grid).toEqual(h100.grid);
  });
});

describe('what was asked for', () => {
  it('adds up to one, the latest counts most, and a submission can be taken back', () => {
    const asked = new Asked();
    const ask = (cpuMilli: number) => sampleWorkload(1, whole(1), { cpuMilli });
    for (let at = 0; at < 4000; at += 1) asked.add(ask(1));
    for (let at = 0; at < 4000; at += 1) asked.add(ask(2));
    const parts = asked.parts();
    expect(parts.reduce((sum, { part }) => sum + part, 0)).toBeCloseTo(1);
    expect(parts.map(({ facts, part }) => [facts.cpuMilli, Math.round(100 * part)])).toEqual([
      [1, 33],
      [2, 67],
    ]);
    const undo = [ask(2), ask(3)].map((one) => asked.add(one));
    for (const take of undo.reverse()) take();
    expect(asked.parts()).toEqual(parts);
  });
});
