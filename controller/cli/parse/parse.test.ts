import { describe, expect, it } from 'vitest';
import { parseCpus } from './cpus.ts';
import { parseGpuReference } from './gpu-reference.ts';
import { parseMemory } from './memory.ts';
import { environmentVariable } from './options.ts';

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
