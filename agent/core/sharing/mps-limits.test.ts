import fc from 'fast-check';
import { expect, it } from 'vitest';
import { mpsLimitsOf, widest } from './mps-limits.ts';

const share = fc.record({
  milli: fc.integer({ min: 1, max: 1000 }),
  memoryMiB: fc.option(fc.integer({ min: 1, max: 90_000 }), { nil: undefined }),
});

it('never exceed the share, and are never nothing', () => {
  fc.assert(
    fc.property(share, fc.integer({ min: 1000, max: 200_000 }), ({ milli, memoryMiB }, deviceMiB) => {
      const limits = mpsLimitsOf({ kind: 'mps', milli, memoryMiB }, deviceMiB);

      expect(limits.threadPercentage).toBeGreaterThan(0);
      expect(limits.threadPercentage * 10).toBeLessThanOrEqual(milli);
      if (milli >= 10) expect(Number.isInteger(limits.threadPercentage)).toBe(true);
      if (memoryMiB === undefined) expect((limits.memoryMiB ?? 0) * 1000).toBeLessThanOrEqual(milli * deviceMiB);
      else expect(limits.memoryMiB).toBe(memoryMiB);
    }),
  );
});

it('say nothing of memory that nobody has told', () => {
  expect(mpsLimitsOf({ kind: 'mps', milli: 333, memoryMiB: undefined }, undefined)).toEqual({ threadPercentage: 33, memoryMiB: undefined });
  expect(mpsLimitsOf({ kind: 'mps', milli: 4, memoryMiB: 7 }, undefined)).toEqual({ threadPercentage: 0.4, memoryMiB: 7 });
});

it('of a server are the widest of its clients', () => {
  expect(widest([])).toBeUndefined();
  expect(
    widest([
      { threadPercentage: 20, memoryMiB: 500 },
      { threadPercentage: 30, memoryMiB: 400 },
    ]),
  ).toEqual({ threadPercentage: 30, memoryMiB: 500 });
  expect(
    widest([
      { threadPercentage: 20, memoryMiB: 500 },
      { threadPercentage: 10, memoryMiB: undefined },
    ])?.memoryMiB,
  ).toBeUndefined();
});
