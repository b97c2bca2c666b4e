import { describe, expect, it } from 'vitest';
import type { AskClass, Demand } from '../demand.ts';
import { PlacementIndex } from '../placement-index.ts';
import type { Shape } from '../shape.ts';
import { expectedFill } from './expected-fill.ts';
import { fillTable } from './fill-table.ts';

const ask = (gpus: number, milli: number, pools?: readonly number[]): AskClass => ({
  cpuMilli: 1000,
  memoryMiB: 1024,
  gpus,
  milli,
  pools: pools === undefined ? undefined : new Set(pools),
});
const node = (pool: number, gpus: readonly number[]): Shape => ({
  pool,
  cpuMilli: 64_000,
  memoryMiB: 262_144,
  gpus: Uint16Array.from(gpus),
  marks: 0,
  worth: Number.NaN,
});
const single = ask(1, 1000);
const eight = ask(8, 1000);
const mixed: Demand = { classes: [single, eight], weights: [90, 1] };

describe('the fill of a remainder', () => {
  it('is nothing where no ask is small enough, and nearly all where one just fits', () => {
    const table = fillTable([{ milli: 400, part: 1 }], 50);
    expect(table[399]).toBe(0);
    expect(table[400]).toBeCloseTo(400);
    expect(table[799]).toBeCloseTo(400);
    expect(table[1000]).toBeCloseTo(800);
  });

  it('is less where what fits is rare', () => {
    const table = fillTable(
      [
        { milli: 1000, part: 0.99 },
        { milli: 200, part: 0.01 },
      ],
      50,
    );
    expect(table[200]).toBeGreaterThan(0);
    expect(table[200]).toBeLessThan(100);
  });
});

describe('the policy that observes', () => {
  it('starts from the demand it is told, and judges anew when told another', () => {
    const policy = expectedFill({ classes: [], weights: [] }, [2]);
    // Nothing is known: the first node is as good as the other.
    const nodes = (): readonly Shape[] => [node(0, [1000]), node(0, [500])];
    const half = ask(1, 500);
    expect(new PlacementIndex(nodes(), policy).place(half)?.node).toBe(0);
    const { version } = policy;
    policy.expect({ classes: [single], weights: [1] });
    expect(policy.version).toBeGreaterThan(version);
    expect(new PlacementIndex(nodes(), policy).place(half)?.node).toBe(1);
  });

  it('keeps nodes together more once work is seen to end', () => {
    const policy = expectedFill(mixed, [16]);
    const [whole, broken] = [node(0, Array(8).fill(1000)), node(0, [...Array(7).fill(1000), 0])];
    const cost = (): number => {
      const breaks = policy.score({ ...whole, worth: Number.NaN }, { ...broken, worth: Number.NaN }, single);
      const takes = policy.score({ ...broken, worth: Number.NaN }, node(0, [...Array(6).fill(1000), 0, 0]), single);
      return takes - breaks;
    };
    const before = cost();
    const { version } = policy;
    for (let at = 0; at < 2000; at += 1) {
      policy.observe.arrived(single);
      policy.observe.departed(single);
    }
    expect(policy.version).toBeGreaterThan(version);
    expect(policy.version - version).toBeLessThanOrEqual(4);
    expect(cost()).toBeGreaterThan(before);
  });

  it('spares a pool that some depend on as it fills up', () => {
    const policy = expectedFill({ classes: [single, ask(1, 1000, [1])], weights: [8, 2] }, [10, 10]);
    const pools = [node(0, [1000]), node(1, [1000])];
    const dearer = (): number => {
      const [other, chosen] = pools.map((shape) =>
        policy.score({ ...shape, worth: Number.NaN }, { ...shape, gpus: Uint16Array.of(0), worth: Number.NaN }, single),
      );
      return (other ?? 0) - (chosen ?? 0);
    };
    const before = dearer();
    expect(before).toBeGreaterThan(0);
    const { version } = policy;
    for (let at = 0; at < 50; at += 1) policy.observe.changed(node(1, [160]), node(1, [0]));
    expect(policy.version).toBe(version + 1);
    expect(dearer()).toBeGreaterThan(before);
  });

  it.each([
    ['of a single class', { classes: [ask(1, 400)], weights: [1] }],
    ['without GPUs', { classes: [ask(0, 0)], weights: [1] }],
    ['for a pool that there is not', { classes: [ask(1, 400, [-1])], weights: [1] }],
    ['that is not known', { classes: [], weights: [] }],
  ])('judges by a demand %s, also on nodes without GPUs', (_, demand: Demand) => {
    const policy = expectedFill(demand, [2, 0]);
    const index = new PlacementIndex([node(1, []), node(0, [1000, 1000])], policy);
    expect(index.place(ask(1, 400))?.node).toBe(1);
    expect(index.place(ask(0, 0))).toBeDefined();
    expect(index.place(ask(1, 400, [-1]))).toBeUndefined();
  });
});
