import { describe, expect, it } from 'vitest';
import { turnover } from './turnover.ts';

/** Levels after each of so many arrivals, with a departure after every `every`-th. */
function levels(arrivals: number, every: number, stream = turnover()): readonly number[] {
  return Array.from({ length: arrivals }, (_, at) => {
    stream.arrived();
    if (at % every === every - 1) stream.departed();
    return stream.level;
  });
}

describe('the turnover', () => {
  it('is none where nothing ends', () => {
    expect(new Set(levels(5000, Number.POSITIVE_INFINITY))).toEqual(new Set([0]));
  });

  it('is full where half as much ends as arrives, and gets there in few steps', () => {
    const seen = levels(5000, 2);
    expect(seen.at(-1)).toBe(1);
    const steps = seen.filter((level, at) => at > 0 && level !== seen[at - 1]);
    expect(steps.length).toBeGreaterThan(0);
    expect(steps.length).toBeLessThanOrEqual(4);
  });

  it('is small where little ends', () => {
    expect(levels(5000, 8).at(-1)).toBe(0.25);
  });

  it('is not made much of by a first departure', () => {
    const stream = turnover();
    stream.departed();
    expect(stream.level).toBe(0);
  });

  it('falls again once nothing ends any more', () => {
    const stream = turnover();
    levels(3000, 1, stream);
    expect(stream.level).toBe(1);
    levels(6000, Number.POSITIVE_INFINITY, stream);
    expect(stream.level).toBe(0);
  });
});
