import { describe, expect, it } from 'vitest';
import { parseCpus } from './cpus.ts';
import { parseDuration } from './duration.ts';
import { parseGpuReference } from './gpu-reference.ts';
import { parseMemory } from './memory.ts';
import { environmentVariable, gathered, understood } from './options.ts';
import { parseLeast, parsePart } from './part-of-gpu.ts';
import { parseAmounts, parseBudget, parseModelAmounts } from './quota.ts';
import { parseLabel, parseLabelChanges, parseLevel, parseTaintChanges } from './where.ts';

describe('memory sizes', () => {
  it.each([
    ['16Gi', 16_384],
    ['512Mi', 512],
    ['1.5Gi', 1536],
    ['1Ti', 1_048_576],
    ['1G', 954],
    ['1GB', 954],
    ['16 GiB', 16_384],
    ['1Ki', 1],
    ['0Mi', 0],
  ])('%s is %d MiB', (text, mib) => expect(parseMemory(text)).toBe(mib));
  it.each(['', '16', 'Gi', '-1Gi', '1Xi', '1e3Mi', '1Gi2'])('%j is refused', (text) => expect(parseMemory(text)).toBeUndefined());
});

describe('CPUs', () => {
  it.each([
    ['4', 4000],
    ['0.5', 500],
    ['1500m', 1500],
    ['0', 0],
  ])('%s is %d thousandths', (text, milli) => expect(parseCpus(text)).toBe(milli));
  it.each(['', 'four', '-1', '0.0001', '1,5'])('%j is refused', (text) => expect(parseCpus(text)).toBeUndefined());
});

describe('a GPU', () => {
  it('is named by its node and its index or UUID', () => {
    expect(parseGpuReference('sim-1/0')).toEqual({ node: 'sim-1', gpu: '0' });
    expect(parseGpuReference('sim-1/GPU-5a-1')).toEqual({ node: 'sim-1', gpu: 'GPU-5a-1' });
  });
  it.each(['sim-1', 'sim-1/', '/0', 'a/b/c', 'sim-1/x'])('is not named by %j', (text) => expect(parseGpuReference(text)).toBeUndefined());
});

describe('an environment variable', () => {
  it('keeps everything after the first =, and those before it', () => {
    expect(environmentVariable('B=c=d', { A: '1' })).toEqual({ A: '1', B: 'c=d' });
    expect(environmentVariable('EMPTY=')).toEqual({ EMPTY: '' });
  });
  it.each(['A', '=1', '1A=x'])('is not %j', (text) => expect(() => environmentVariable(text)).toThrow('NAME=VALUE'));
});

describe('a time', () => {
  it.each([
    ['2h30m', 9000],
    ['90s', 90],
    ['1d12h', 129_600],
    ['1d2h3m4s', 93_784],
  ])('%s is %d seconds', (text, seconds) => expect(parseDuration(text)).toBe(seconds));
  it.each(['', '90', '1.5h', '30m2h', 'h', '-1h', '1w'])('is not %j', (text) => expect(parseDuration(text)).toBeUndefined());
});

describe('a part of a GPU', () => {
  it.each([
    ['300', 300],
    ['1', 1],
    ['999', 999],
    ['30%', 300],
    ['12.5%', 125],
    ['0.1%', 1],
  ])('%s is %d thousandths', (text, milli) => expect(parsePart(text)).toBe(milli));
  it.each(['', '0', '1000', '0%', '100%', '0.3', '12.55%', '-5', 'half'])('is not %j', (text) => expect(parsePart(text)).toBeUndefined());
});

describe('a slice of at least', () => {
  it.each([
    ['20G', { memoryMiB: 19_074, computeSlices: 1 }],
    ['20GiB/2', { memoryMiB: 20_480, computeSlices: 2 }],
  ])('%s', (text, least) => expect(parseLeast(text)).toEqual(least));
  it.each(['', '20', '20G/', '20G/0', '20G/x', '0Gi', '/2', '20G/2/3'])('is not %j', (text) => expect(parseLeast(text)).toBeUndefined());
});

describe('a level', () => {
  it('is required unless it is only preferred', () => {
    expect(parseLevel('rack')).toEqual({ level: 'rack', required: true });
    expect(parseLevel('node:required')).toEqual({ level: 'node', required: true });
    expect(parseLevel('topology.kubernetes.io/zone:preferred')).toEqual({ level: 'topology.kubernetes.io/zone', required: false });
  });
  it.each(['', ':preferred', 'rack:', 'rack:perhaps', 'a b'])('is not %j', (text) => expect(parseLevel(text)).toBeUndefined());
});

describe('labels and taints', () => {
  it('are set and removed', () => {
    expect(parseLabel('rack=r1')).toEqual(['rack', 'r1']);
    expect(parseLabelChanges(['rack=r1', 'zone-', 'a-b=c-'])).toEqual({ set: { rack: 'r1', 'a-b': 'c-' }, remove: ['zone'] });
    expect(parseTaintChanges(['spot', 'team=a', 'old-'])).toEqual({ add: ['spot', 'team=a'], remove: ['old'] });
  });
  it.each(['rack', '=r1', 'rack=', 'a=b=c', ''])('%j does not change a label', (text) =>
    expect(parseLabelChanges(['a=b', text])).toBe(text),
  );
  it.each(['=a', 'a=', 'a=b=c', ''])('%j does not change a taint', (text) => expect(parseTaintChanges(['ok', text])).toBe(text));
});

describe('what a workspace has', () => {
  it.each([
    ['14', { compute: 14 }],
    ['compute=14,memory=16', { compute: 14, memory: 16 }],
    ['cpus=1.5, ram=64Gi', { cpuMilli: 1500, memoryMiB: 65_536 }],
    ['memory=none', { memory: null }],
  ])('is %s', (text, amounts) => expect(parseAmounts(text)).toEqual(amounts));
  it.each(['', 'all', 'compute', 'compute=', 'compute=-1', 'gpus=2', 'ram=64', 'compute=1,,memory=2'])('is not %j', (text) =>
    expect(parseAmounts(text)).toBeUndefined(),
  );
  it.each([
    ['h100=14', { h100: { compute: 14 } }],
    ['H100 80GB=14/16', { 'h100 80gb': { compute: 14, memory: 16 } }],
    ['a30=none', { a30: null }],
  ])('of one model is %s', (text, amounts) => expect(parseModelAmounts(text)).toEqual(amounts));
  it.each(['', 'h100', '=14', 'h100=', 'h100=a', 'h100=1/'])('of one model is not %j', (text) =>
    expect(parseModelAmounts(text)).toBeUndefined(),
  );
  it.each([
    ['500/week', { sliceHours: 500, period: 'week', kind: 'hard' }],
    ['1.5/day:soft', { sliceHours: 1.5, period: 'day', kind: 'soft' }],
  ])('in a period is %s', (text, budget) => expect(parseBudget(text)).toEqual(budget));
  it.each(['', '500', '500/year', '/week', '500/week:firm', '-1/day'])('in a period is not %j', (text) =>
    expect(parseBudget(text)).toBeUndefined(),
  );
});

describe('an option', () => {
  it('that is not understood says how to write it', () => {
    expect(() => understood(parseDuration, 'Give a time.')('soon')).toThrow('Give a time.');
  });
  it('that is repeated keeps them all, in order', () => {
    const parse = gathered(parseDuration, 'Give a time.');
    expect(parse('2s', parse('1s'))).toEqual([1, 2]);
  });
});
