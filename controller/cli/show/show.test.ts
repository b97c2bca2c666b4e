import type { Gpu } from '@astrago/api';
import { describe, expect, it } from 'vitest';
import { humanDuration } from './human-time.ts';
import { humanCpus, humanMemory } from './quantity.ts';
import { slotMap } from './slot-map.ts';
import { facts, table } from './table.ts';

describe('a table', () => {
  it('is plain columns with -- for what is not known', () => {
    expect(
      table(
        ['NODE', 'GPUS', 'SEEN'],
        [
          ['sim-1', 2, undefined],
          ['a-longer-name', 0, '5s'],
        ],
      ),
    ).toBe(['NODE           GPUS  SEEN', 'sim-1          2     --', 'a-longer-name  0     5s'].join('\n'));
  });
  it('of facts leaves out what is not there', () => {
    expect(
      facts([
        ['phase', 'queued'],
        ['exit code', undefined],
        ['cpus', 0],
      ]),
    ).toBe('phase  queued\ncpus   0');
  });
});

describe('a slot map', () => {
  const gpu = (over: Partial<Gpu>): Parameters<typeof slotMap>[0] => ({
    slices: [],
    units: { compute: 7, memory: 8 },
    migEnabled: true,
    layout: { kind: 'mig', slices: [] },
    ...over,
  });
  const slice = (profile: string, start: number, size: number, over = {}) => ({ profile, start, size, state: 'live' as const, ...over });

  it('shows slices where they lie, their workloads, and a dot for each unit that is not cut', () => {
    const slices = [slice('1g.10gb', 6, 1), slice('3g.40gb', 0, 4, { workload: 'train-a' })];
    expect(slotMap(gpu({ slices }))).toBe('[3g.40gb train-a|..|1g.10gb -|.]');
  });
  it('marks what is being made and what is being removed', () => {
    const slices = [slice('3g.40gb', 0, 4, { state: 'wanted', workload: 'a' }), slice('3g.40gb', 4, 4, { state: 'unwanted' })];
    expect(slotMap(gpu({ slices }))).toBe('[+3g.40gb a|~3g.40gb -]');
  });
  it('tells an empty cut GPU from a whole one', () => {
    expect(slotMap(gpu({}))).toBe('[........]');
    expect(slotMap(gpu({ layout: { kind: 'whole' }, migEnabled: false, workload: 'big' }))).toBe('[whole big]');
    expect(slotMap({ slices: [], units: { compute: 1, memory: 1 }, migEnabled: false })).toBe('[whole -]');
  });
});

describe('amounts', () => {
  it.each([
    [5, '5ms'],
    [1234, '1.2s'],
    [59_999, '59s'],
    [303_000, '5m03s'],
    [11_220_000, '3h07m'],
    [1_051_200_000, '12d4h'],
    [-5, '0s'],
  ])('%d ms is %s', (ms, text) => {
    expect(humanDuration(ms)).toBe(text);
  });
  it('keep their unit', () => {
    expect([humanMemory(512), humanMemory(1536), humanMemory(1_048_576), humanMemory(undefined), humanCpus(1500)]).toEqual([
      '512Mi',
      '1.5Gi',
      '1Ti',
      undefined,
      '1.5',
    ]);
  });
});
