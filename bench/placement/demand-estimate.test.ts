import { seededRandom } from '@astrago/controller/core/cluster/sample-random';
import type { AskClass } from '@astrago/controller/core/placement/demand';
import { describe, expect, it } from 'vitest';
import { demandEstimate } from './demand-estimate.ts';

const ask = (milli: number, pools?: readonly number[]): AskClass => ({
  cpuMilli: 4000,
  memoryMiB: 8192,
  gpus: 1,
  milli,
  pools: pools === undefined ? undefined : new Set(pools),
});

/** Draws from a hundred classes, some of which are a hundred times as common as others. */
function arrive(estimate: ReturnType<typeof demandEstimate>, count: number, next: () => number, from = 0): void {
  for (let at = 0; at < count; at += 1) estimate.arrived(ask(from + 1 + Math.floor(100 * next() ** 3)));
}

describe('the demand that is learned', () => {
  it('is nothing until something was seen, and is known after a few arrivals', () => {
    const estimate = demandEstimate();
    expect(estimate.demand.classes).toEqual([]);
    arrive(estimate, 100, seededRandom(1));
    expect(estimate.demand.classes.length).toBeGreaterThan(10);
  });

  it('has each class once, in the proportion in which it came', () => {
    const estimate = demandEstimate();
    for (let at = 0; at < 4000; at += 1) estimate.arrived(at % 4 === 0 ? ask(250, [1, 0]) : ask(500));
    const { classes, weights } = estimate.demand;
    expect(classes).toHaveLength(2);
    const [rare = 0, common = 0] = [250, 500].map((milli) => weights[classes.findIndex((one) => one.milli === milli)]);
    expect(common / rare).toBeCloseTo(3, 1);
  });

  it('knows asks that are equal for one class, whichever object says so', () => {
    const estimate = demandEstimate();
    for (let at = 0; at < 100; at += 1) estimate.arrived(ask(500, at % 2 === 0 ? [0, 1] : [1, 0]));
    expect(estimate.demand.classes).toHaveLength(1);
  });

  it.each([1, 2, 3, 4, 5])('is made known anew only as it is known better, while the mix stays (seed %i)', (seed) => {
    const estimate = demandEstimate();
    const next = seededRandom(seed);
    arrive(estimate, 40_000, next);
    const { version } = estimate;
    expect(version).toBeLessThanOrEqual(16);
    arrive(estimate, 40_000, next);
    expect(estimate.version - version).toBeLessThanOrEqual(1);
  });

  it('follows a mix that changes', () => {
    const estimate = demandEstimate();
    const next = seededRandom(7);
    arrive(estimate, 20_000, next);
    const { version } = estimate;
    arrive(estimate, 20_000, next, 500);
    expect(estimate.version).toBeGreaterThan(version);
    const { classes, weights } = estimate.demand;
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const ofNew = weights.reduce((sum, weight, at) => sum + ((classes[at]?.milli ?? 0) > 500 ? weight : 0), 0);
    expect(ofNew / total).toBeGreaterThan(0.5);
  });
});
