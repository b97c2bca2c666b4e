import { describe, expect, it } from 'vitest';
import type { AskClass, Demand } from './demand.ts';
import { poolPressure } from './pool-pressure.ts';

const ask = (gpus: number, pools?: readonly number[]): AskClass => ({
  cpuMilli: 1000,
  memoryMiB: 1024,
  gpus,
  milli: 1000,
  pools: pools === undefined ? undefined : new Set(pools),
});
const anywhere: Demand = { classes: [ask(1)], weights: [1] };
const halfInFirst: Demand = { classes: [ask(1), ask(1, [0])], weights: [1, 1] };

describe('the pressure on pools', () => {
  it('is none where every ask may go everywhere, whatever is free', () => {
    const pressure = poolPressure([10, 90]);
    pressure.expect(anywhere);
    pressure.freed(0, -9000);
    expect(pressure.settle()).toBe(false);
    expect([pressure.of(0), pressure.of(1)]).toEqual([0, 0]);
  });

  it('is where asks go that have no other place', () => {
    const pressure = poolPressure([50, 50]);
    pressure.expect(halfInFirst);
    expect(pressure.of(0)).toBeCloseTo(0.5);
    expect(pressure.of(1)).toBeCloseTo(-0.5);
  });

  it('rises as the pool fills up, and falls as it empties', () => {
    const pressure = poolPressure([50, 50]);
    pressure.expect(halfInFirst);
    pressure.freed(0, -30_000);
    expect(pressure.settle()).toBe(true);
    expect(pressure.of(0)).toBeGreaterThan(1);
    pressure.freed(0, 30_000);
    expect(pressure.settle()).toBe(true);
    expect(pressure.of(0)).toBeCloseTo(0.5);
  });

  it('does not change with every GPU', () => {
    const pressure = poolPressure([5000, 5000]);
    pressure.expect(halfInFirst);
    pressure.freed(0, -1000);
    expect(pressure.settle()).toBe(false);
  });

  it('stays finite where nothing is left', () => {
    const pressure = poolPressure([10, 10]);
    pressure.expect(halfInFirst);
    pressure.freed(0, -10_000);
    pressure.freed(1, -10_000);
    pressure.settle();
    for (const pool of [0, 1]) expect(Number.isFinite(pressure.of(pool))).toBe(true);
  });

  it('is none where nothing is known', () => {
    const pressure = poolPressure([50, 50]);
    pressure.expect({ classes: [], weights: [] });
    expect([pressure.of(0), pressure.settle()]).toEqual([0, false]);
  });

  it('bears with asks that may go nowhere', () => {
    const pressure = poolPressure([50]);
    pressure.expect({ classes: [ask(1), ask(1, [-1])], weights: [1, 1] });
    pressure.settle();
    expect(Number.isFinite(pressure.of(0))).toBe(true);
  });
});
