import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseClientTable, parseCudaError, parseMemory, parsePercentage, parsePids, parseServerState } from './parse-answers.ts';

describe('an answer of the control daemon', () => {
  it('never throws, and yields only what can be meant', () => {
    const printed = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.stringMatching(/^[0-9A-Z .\n-]*$/));
    fc.assert(
      fc.property(printed, fc.nat(), (text, server) => {
        const pids = parsePids(text) ?? [];
        for (const pid of [...pids, ...(parseClientTable(text, server) ?? [])]) expect(Number.isSafeInteger(pid) && pid > 0).toBe(true);
        const percentage = parsePercentage(text) ?? 1;
        expect(percentage > 0 && percentage <= 100).toBe(true);
        expect(Number.isSafeInteger(parseMemory(text) ?? 0)).toBe(true);
        expect(Number.isSafeInteger(parseCudaError(text) ?? 0)).toBe(true);
        expect(['initializing', 'active', 'fault', 'unknown']).toContain(parseServerState(text));
      }),
    );
  });

  it.each([
    ['6472\n6473\n', [6472, 6473]],
    ['', []],
    ['  6472 \r\n', [6472]],
    ['none', undefined],
    ['6472 9741', undefined],
    ['0', undefined],
  ])('lists processes: %j', (text, pids) => {
    expect(parsePids(text)).toEqual(pids);
  });

  it('lists clients in a table, whatever its columns are', () => {
    const table = `PID     ID    SERVER DEVICE             NAMESPACE  COMMAND
9741    0     6472   GPU-cb1213a3-d6a4-be7f 4026531836 ./nbody
9743    0     6473   GPU-cb1213a3-d6a4-be7f 4026531836 ./matrixMul --size 4`;

    expect(parseClientTable(table, 6472)).toEqual([9741]);
    expect(parseClientTable('SERVER PID\n6472 5\n6472\n', 6472)).toEqual([5]);
    expect(parseClientTable('nothing', 6472)).toBeUndefined();
  });

  it.each([
    ['100.0\n', 100],
    ['33', 33],
    ['0.5', 0.5],
    ['0', undefined],
    ['100.1', undefined],
    ['50 %', undefined],
    ['50\n60', undefined],
  ])('is a percentage: %j', (text, value) => {
    expect(parsePercentage(text)).toBe(value);
  });

  it.each([
    ['1024M\n', 1024],
    ['1G', 1024],
    ['2048K', 2],
    ['512MB', 512],
    ['1.5G', 1536],
    ['1000K', undefined],
    ['1024', undefined],
    ['0=1G', undefined],
  ])('is an amount of memory: %j', (text, value) => {
    expect(parseMemory(text)).toBe(value);
  });
});
