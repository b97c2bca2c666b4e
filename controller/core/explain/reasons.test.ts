import { describe, expect, it } from 'vitest';
import { h100, sampleCluster, sampleWorkload, slice, whole } from '../cluster/sample-cluster.ts';
import type { Obstacle } from '../scheduling/decision.ts';
import { primaryReason } from './census.ts';
import { reasonsOf } from './reasons.ts';
import { clockTime, duration, shortened } from './words.ts';

describe('what stood in the way', () => {
  const cluster = sampleCluster([{ name: 'a', gpus: [h100] }]);
  it.each<[Obstacle, string]>([
    ['limit', 'WaitingForQuota'],
    ['guarantee', 'WaitingForGuarantee'],
    ['budget', 'WaitingForBudget'],
    ['kept', 'RoomIsKept'],
    ['evicting', 'RoomIsMade'],
  ])('%s is %s', (obstacle, reason) => {
    expect([...reasonsOf(cluster, sampleWorkload(1, whole(1)), obstacle)]).toEqual([[reason, 1]]);
  });

  it('is looked for GPU by GPU where it is room', () => {
    expect([...reasonsOf(cluster, sampleWorkload(1, whole(2)), 'room')]).toEqual([['TooFewGpusOnNode', 1]]);
    expect([...reasonsOf(cluster, sampleWorkload(1, slice('2g.12gb'), { model: 'h100' }), 'room')]).toEqual([['NoSuchProfileOnModel', 1]]);
    expect(
      primaryReason(
        new Map([
          ['NoSuchModel' as const, 90],
          ['WaitingForSlots' as const, 1],
        ]),
      ),
    ).toBe('WaitingForSlots');
  });
});

describe('room that is not where it must be', () => {
  const cluster = sampleCluster([{ name: 'a', gpus: [h100, h100] }]);

  it('is told apart from no room: members of a gang that must be on nodes of their own', () => {
    const gang = { name: 'g', least: 2, members: 2 };
    const members = [1, 2].map((sequence) =>
      sampleWorkload(sequence, whole(1), { gang, constraints: { apart: { level: 'node', required: true } } }),
    );
    for (const record of members) cluster.apply({ kind: 'workload', record });
    const [first] = members;
    expect(first === undefined ? [] : [...reasonsOf(cluster, first, 'room')]).toEqual([['LocalityUnmet', 1]]);
  });

  it('and GPUs that must be joined by NVLink, and are not known to be', () => {
    const ask = sampleWorkload(3, whole(2), { constraints: { together: [{ level: 'nvlink', required: true }] } });
    expect([...reasonsOf(cluster, ask, 'room')]).toEqual([['LocalityUnmet', 1]]);
  });
});

describe('words', () => {
  it.each([
    [400, '1 s'],
    [89_000, '89 s'],
    [1_500_000, '25 min'],
    [7_200_000, '2 h'],
    [11_400_000, '3 h 10 min'],
    [187_200_000, '2 d 4 h'],
  ])('%d ms are %s', (ms, text) => {
    expect(duration(ms)).toBe(text);
  });

  it('name some and count the rest', () => {
    expect(shortened(['a', 'b', 'c'], 3)).toBe('a, b and c');
    expect(shortened(['a', 'b', 'c', 'd'], 2)).toBe('a, b and 2 more');
    expect(clockTime(52_800_000)).toBe('14:40');
  });
});
