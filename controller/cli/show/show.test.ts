import type { Gpu } from '@astrago/api';
import { describe, expect, it } from 'vitest';
import { askText, placeText } from './ask.ts';
import { humanDuration } from './human-time.ts';
import { humanCpus, humanMemory } from './quantity.ts';
import { amountsText, budgetText } from './quota.ts';
import { slotMap } from './slot-map.ts';
import { facts, table, tableOfKnown } from './table.ts';

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
  it('leaves out columns that nothing is known of, where it may', () => {
    const rows = [
      ['a', undefined, undefined],
      ['b', undefined, ''],
    ];
    expect(tableOfKnown(['NODE', 'SEEN', 'LABELS'], rows, ['LABELS'])).toBe(['NODE  SEEN', 'a     --', 'b     --'].join('\n'));
    expect(tableOfKnown(['NODE', 'SEEN', 'LABELS'], [...rows, ['c', '5s', 'x=y']], ['LABELS'])).toContain('LABELS');
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
    shares: [],
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
  it('shows the shares of a GPU that is not cut, and what is left of it', () => {
    const share = (workload: string, milli: number) => ({ workload, milli, by: 'mps' as const, enforcement: 'driver' as const });
    const whole = { layout: { kind: 'whole' as const }, migEnabled: false };
    expect(slotMap(gpu({ ...whole, shares: [share('a', 300), share('b', 125)] }))).toBe('[mps 30% a|12.5% b|57.5% -]');
    expect(slotMap(gpu({ ...whole, shares: [share('a', 500), share('b', 500)] }))).toBe('[mps 50% a|50% b]');
  });
  it('tells an empty cut GPU from a whole one', () => {
    expect(slotMap(gpu({}))).toBe('[........]');
    expect(slotMap(gpu({ layout: { kind: 'whole' }, migEnabled: false, workload: 'big' }))).toBe('[whole big]');
    expect(slotMap({ slices: [], shares: [], units: { compute: 1, memory: 1 }, migEnabled: false })).toBe('[whole -]');
  });
});

describe('what was asked for', () => {
  it.each([
    [{}, 'no gpu'],
    [{ gpus: 0 }, 'no gpu'],
    [{ gpus: 2, model: 'h100' }, '2 gpus h100'],
    [{ slice: '3g.40gb' }, '3g.40gb'],
    [{ slice: '1g.10gb', count: 2 }, '1g.10gb*2'],
    [{ atLeast: { memoryMiB: 20_480, computeSlices: 1, count: 1 } }, '>=20Gi'],
    [{ atLeast: { memoryMiB: 20_480, computeSlices: 2, count: 3 } }, '>=20Gi/2*3'],
    [{ share: { by: 'mps' as const, milli: 300 } }, '30% mps'],
    [{ share: { by: 'time-slicing' as const, milli: 125, memoryMiB: 10_240 } }, '12.5% time-slicing 10Gi'],
  ])('%j is %s', (asked, text) => expect(askText(asked)).toBe(text));
});

describe('where work is', () => {
  it('names each device, and the part of it', () => {
    const device = (gpuIndex: number, more: object) => ({ gpuUuid: `GPU-${gpuIndex}`, gpuIndex, ...more });
    const place = (...devices: ReturnType<typeof device>[]) => placeText({ node: 'a', devices });
    expect(place(device(1, {}), device(0, {}))).toBe('a/0,1');
    expect(place(device(0, { share: { by: 'mps', milli: 300 } }))).toBe('a/0 30% mps');
    expect(place(device(0, { slice: { profile: '1g.10gb', start: 2 } }))).toBe('a/0 1g.10gb@2');
  });
});

describe('what a workspace has', () => {
  it('is shown as it could be given', () => {
    const amounts = { compute: 14, cpuMilli: 1500, memoryMiB: 65_536, models: { h100: { compute: 7 }, a30: { memory: 4 } } };
    expect(amountsText(amounts)).toBe('compute=14 cpus=1.5 ram=64Gi h100=7 a30=0/4');
    expect(amountsText({})).toBe('');
    expect(budgetText({ sliceHours: 500, period: 'week', kind: 'soft' })).toBe('500/week:soft');
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
