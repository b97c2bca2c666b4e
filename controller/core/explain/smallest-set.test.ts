import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { smallestSet } from './smallest-set.ts';

describe('the smallest set', () => {
  it('is enough, needs each of its own, and leaves out what a shorter prefix does not have', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 30 }), fc.integer({ min: 1, max: 60 }), (sizes, needed) => {
        const candidates = sizes.map((size, at) => ({ size, at }));
        const isEnough = (some: typeof candidates): boolean => some.reduce((sum, { size }) => sum + size, 0) >= needed;
        const found = smallestSet(candidates, (some) => isEnough([...some]));
        expect(found !== undefined).toBe(isEnough(candidates));
        if (found === undefined) return;
        expect(isEnough([...found])).toBe(true);
        for (const one of found) expect(isEnough(found.filter((other) => other !== one))).toBe(false);
        // Nothing after the first prefix that is enough is ever taken.
        const last = Math.max(...found.map(({ at }) => at));
        expect(isEnough(candidates.slice(0, last))).toBe(false);
      }),
    );
  });

  it('is found in few tries among many', () => {
    let tries = 0;
    const candidates = Array.from({ length: 4000 }, (_, at) => at);
    const found = smallestSet(candidates, (some) => {
      tries += 1;
      return some.includes(3) && some.includes(9);
    });
    expect(found).toEqual([3, 9]);
    expect(tries).toBeLessThan(20);
  });
});
