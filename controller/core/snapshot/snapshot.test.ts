import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Cluster } from '../cluster/cluster.ts';
import { h100, sampleCluster, sampleWorkload, slice, whole } from '../cluster/sample-cluster.ts';
import { troubledCluster, troubles } from '../explain/testing/random-cluster.ts';
import { decide } from '../scheduling/decide.ts';
import { trialIds } from '../scheduling/fits.ts';
import { schedulerOf } from '../scheduling/scheduler.ts';
import { loadSnapshot } from './load.ts';
import { saveSnapshot } from './save.ts';

/** As a file holds it. */
const written = (cluster: Cluster): unknown => JSON.parse(JSON.stringify(saveSnapshot(cluster, 77)));

function loaded(document: unknown): Cluster {
  const answer = loadSnapshot(document);
  return answer.kind === 'cluster' ? answer.cluster : expect.unreachable(answer.text);
}

const decisionOn = (cluster: Cluster): string => JSON.stringify(decide(cluster, { nextAllocationId: trialIds(), nowMs: 77 }));

describe('a saved cluster', () => {
  it('is decided on bit for bit as the one it was saved from, over all kinds of trouble', () => {
    fc.assert(
      fc.property(troubles, (trouble) => {
        const cluster = troubledCluster(trouble);
        const document = written(cluster);
        // What the live scheduler has found out before is not in the file.
        schedulerOf(cluster).bays.forget();
        expect(decisionOn(loaded(document))).toBe(decisionOn(cluster));
      }),
      { numRuns: 80 },
    );
  }, 60_000);

  it('is saved the same after it was loaded', () => {
    fc.assert(
      fc.property(troubles, (trouble) => {
        const document = written(troubledCluster(trouble));
        expect(written(loaded(document))).toEqual(document);
      }),
      { numRuns: 20 },
    );
  }, 60_000);

  it('keeps neither commands nor values of the environment', () => {
    const cluster = sampleCluster([{ name: 'a', gpus: [h100] }]);
    const secret = { command: ['login', 'hunter2'], environment: { TOKEN: 'hunter2' }, workingDirectory: '/srv/hunter2' };
    cluster.apply({ kind: 'workload', record: sampleWorkload(1, whole(1), secret) });
    const text = JSON.stringify(written(cluster));
    expect(text).not.toContain('hunter2');
    expect(text).toContain('TOKEN');
    expect(saveSnapshot(cluster, 0).dropped).toContain('commands of workloads');
  });
});

describe('a damaged file', () => {
  const document = (): { cluster: Record<string, Record<string, unknown>[]> } & Record<string, unknown> => {
    const cluster = sampleCluster([{ name: 'a', gpus: [h100] }]);
    cluster.apply({ kind: 'workload', record: sampleWorkload(1, slice('1g.10gb')) });
    return written(cluster) as never;
  };
  const refusal = (damage: (whole: ReturnType<typeof document>) => unknown): string => {
    const answer = loadSnapshot(damage(document()));
    return answer.kind === 'unreadable' ? answer.text : expect.unreachable('it was believed');
  };

  it('is refused with the place and what is wrong there', () => {
    expect(refusal(() => 'nonsense')).toBe('the document is a string, not an object');
    expect(refusal(() => ({}))).toBe('format is missing, not "astrago-snapshot"');
    expect(refusal((one) => ({ ...one, version: 2 }))).toBe('version is 2, not 1');
    expect(refusal((one) => ({ ...one, cluster: { ...one.cluster, nodes: undefined } }))).toBe('cluster.nodes is missing, not a list');
    const changed = (list: string, more: Readonly<Record<string, unknown>>) => (one: ReturnType<typeof document>) => ({
      ...one,
      cluster: { ...one.cluster, [list]: [{ ...one.cluster[list]?.[0], ...more }] },
    });
    expect(refusal(changed('workloads', { cpuMilli: '4' }))).toBe('cluster.workloads[0].cpuMilli is a string, not a number');
    expect(refusal(changed('workloads', { ask: { kind: 'half' } }))).toContain('cluster.workloads[0].ask.kind is "half", not "none" or');
    expect(refusal(changed('workloads', { phase: 'running' }))).toBe('cluster.workloads[0] (w1) is running and has no allocation');
    expect(refusal(changed('nodes', { cordoned: null }))).toBe('cluster.nodes[0].cordoned is null, not true or false');
  });

  it('is never believed, or never breaks anything, when any one value of it is lost', () => {
    const whole = document();
    const paths: string[][] = [];
    const walk = (value: unknown, path: string[]): void => {
      if (path.length > 0) paths.push(path);
      if (typeof value === 'object' && value !== null) for (const [key, item] of Object.entries(value)) walk(item, [...path, key]);
    };
    walk(whole, []);
    for (const path of paths) {
      const damaged = structuredClone(whole) as unknown as Record<string, unknown>;
      const parent = path.slice(0, -1).reduce((at, key) => at[key] as Record<string, unknown>, damaged);
      parent[path.at(-1) ?? ''] = null;
      expect(loadSnapshot(damaged).kind, path.join('.')).toBe('unreadable');
    }
  });
});
