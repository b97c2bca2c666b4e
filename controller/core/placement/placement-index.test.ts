import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AskClass, type Demand, isShare } from './demand.ts';
import { PlacementIndex } from './placement-index.ts';
import { bestFit, dotProduct } from './policies/best-fit.ts';
import { clustering, packing } from './policies/clustering.ts';
import { expectedFill } from './policies/expected-fill.ts';
import { fragmentationGradient } from './policies/fragmentation-gradient.ts';
import { firstFit, spread } from './policies/order.ts';
import { outcomes, type PlacementPolicy } from './policy.ts';
import { RandomPlacement } from './random-placement.ts';
import { freeMilli, type Shape } from './shape.ts';

const classes: readonly AskClass[] = [
  { cpuMilli: 4000, memoryMiB: 8192, gpus: 1, milli: 500, pools: undefined },
  { cpuMilli: 3152, memoryMiB: 4096, gpus: 1, milli: 810, pools: undefined },
  { cpuMilli: 1000, memoryMiB: 1024, gpus: 1, milli: 190, pools: new Set([0]) },
  { cpuMilli: 8000, memoryMiB: 16_384, gpus: 1, milli: 1000, pools: undefined },
  { cpuMilli: 16_000, memoryMiB: 32_768, gpus: 2, milli: 1000, pools: new Set([1]) },
  { cpuMilli: 32_000, memoryMiB: 65_536, gpus: 4, milli: 1000, pools: undefined },
  { cpuMilli: 6000, memoryMiB: 2048, gpus: 0, milli: 0, pools: undefined },
];
const demand: Demand = { classes, weights: [10, 8, 6, 12, 2, 1, 5] };
const largest = { cpuMilli: 64_000, gpus: 4 };

const node = (pool: number, gpus: number): Shape => ({
  pool,
  cpuMilli: gpus * 12_000,
  memoryMiB: gpus * 24_000,
  gpus: new Uint16Array(gpus).fill(1000),
  marks: 0,
  worth: Number.NaN,
});

const policies: readonly (() => PlacementPolicy)[] = [
  () => expectedFill(demand, [20, 20]),
  () => expectedFill(demand, [20, 20], { offers: 8, companions: 4, together: 1, pressure: 1, grain: 20 }),
  () => fragmentationGradient(demand),
  () => bestFit(largest),
  () => dotProduct(largest),
  () => clustering(largest),
  () => packing,
  () => firstFit,
  () => spread,
];

/** The same choice by looking at every node. */
function byScan(nodes: readonly Shape[], ask: AskClass, policy: PlacementPolicy): { node: number; after: Shape } | undefined {
  let best: { node: number; after: Shape; score: number } | undefined;
  for (const [at, before] of nodes.entries())
    for (const after of outcomes(before, ask, policy)) {
      const score = policy.score({ ...before, worth: Number.NaN }, { ...after, worth: Number.NaN }, ask);
      if (best === undefined || score > best.score) best = { node: at, after, score };
    }
  return best;
}

function plain({ pool, cpuMilli, memoryMiB, gpus, marks }: Shape): object {
  return { pool, cpuMilli, memoryMiB, gpus: [...gpus], marks };
}

/** Arrivals by class, and departures by a number that picks among what is there. */
const events = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('arrives' as const), which: fc.nat(classes.length - 1) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('leaves' as const), which: fc.nat() }) },
  ),
  { maxLength: 120 },
);
const clusters = fc.array(fc.record({ pool: fc.nat(1), gpus: fc.constantFrom(1, 2, 4) }), { minLength: 1, maxLength: 8 });

describe.each(policies.map((make) => ({ name: make().name, make })))('the index under $name', ({ make }) => {
  it('chooses what a look at every node would, and never gives away what is not free', () => {
    fc.assert(
      fc.property(clusters, events, (cluster, happenings) => {
        const nodes = cluster.map(({ pool, gpus }) => node(pool, gpus));
        const index = new PlacementIndex(nodes, make());
        const policy = make();
        const running: { node: number; ask: AskClass; before: Shape; after: Shape }[] = [];
        for (const { kind, which } of happenings) {
          if (kind === 'arrives') {
            const ask = classes[which] as AskClass;
            const expected = byScan(nodes, ask, policy);
            const found = index.place(ask);
            expect(found?.node).toBe(expected?.node);
            if (found === undefined || expected === undefined) continue;
            expect(plain(found.after)).toEqual(plain(expected.after));
            expect(freeMilli(found.before.gpus) - freeMilli(found.after.gpus)).toBe(ask.gpus * ask.milli);
            expect(found.before.cpuMilli - found.after.cpuMilli).toBe(ask.cpuMilli);
            nodes[found.node] = found.after;
            running.push({ ...found, ask });
          } else if (running.length > 0) {
            // Leaves whole what it found whole, which is enough to shake the groups up.
            const [gone] = running.splice(which % running.length, 1);
            if (gone === undefined) continue;
            const now = nodes[gone.node] as Shape;
            const back = { ...now, cpuMilli: now.cpuMilli + gone.ask.cpuMilli, memoryMiB: now.memoryMiB + gone.ask.memoryMiB };
            nodes[gone.node] = back;
            index.reshape(gone.node, back);
          }
        }
        expect(nodes.map((_, at) => plain(index.shapeOf(at)))).toEqual(nodes.map(plain));
      }),
      { numRuns: 40 },
    );
  });
});

describe('an ask', () => {
  it('goes only to its pools, and only where everything fits', () => {
    for (const ask of classes)
      for (const pool of [0, 1]) {
        const found = outcomes(node(pool, 2), ask, firstFit);
        const fits = ask.gpus <= 2 && (ask.pools?.has(pool) ?? true) && ask.cpuMilli <= 24_000;
        expect(found.length > 0).toBe(fits);
      }
  });

  it('of a part of a GPU is tried once on each GPU that differs', () => {
    const shape = { ...node(0, 4), gpus: Uint16Array.from([1000, 1000, 600, 300]) };
    const share = classes[0] as AskClass;
    expect(isShare(share)).toBe(true);
    expect(outcomes(shape, share, expectedFill(demand, [4])).map(({ gpus }) => [...gpus])).toEqual([
      [1000, 1000, 300, 100],
      [1000, 600, 500, 300],
    ]);
    expect(outcomes(shape, share, firstFit).map(({ gpus }) => [...gpus])).toEqual([[1000, 1000, 300, 100]]);
  });
});

describe('the random policy', () => {
  it('takes each place that there is as often as the others', () => {
    let state = 1;
    const random = (): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return state / 2 ** 32;
    };
    const counts = [0, 0, 0];
    for (let round = 0; round < 3000; round += 1) {
      const found = new RandomPlacement([node(0, 1), node(0, 1), node(1, 1), node(0, 1)], random).place(classes[2] as AskClass);
      counts[found?.node === 3 ? 2 : (found?.node ?? 0)] = (counts[found?.node === 3 ? 2 : (found?.node ?? 0)] ?? 0) + 1;
    }
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });
});

describe('the expected fill', () => {
  it('keeps for what comes what fits it: the remainder that nothing would fill is taken first', () => {
    const halves: Demand = { classes: [{ ...(classes[0] as AskClass), cpuMilli: 0, memoryMiB: 0 }], weights: [1] };
    const ask = { ...(classes[2] as AskClass), cpuMilli: 0, memoryMiB: 0 };
    const nodes = [
      { ...node(0, 1), gpus: Uint16Array.from([500]) },
      { ...node(0, 1), gpus: Uint16Array.from([400]) },
    ];
    expect(new PlacementIndex(nodes, expectedFill(halves, [2])).place(ask)?.node).toBe(1);
  });

  it('keeps nodes whole for asks of several GPUs where that is worth something', () => {
    const both: Demand = { classes: [classes[0] as AskClass, classes[5] as AskClass], weights: [1, 1] };
    const nodes = [node(0, 4), { ...node(0, 4), gpus: Uint16Array.from([1000, 1000, 1000, 0]) }];
    const settings = { offers: 50, companions: 6, together: 5, pressure: 1, grain: 1 };
    expect(new PlacementIndex(nodes, expectedFill(both, [8], settings)).place(classes[0] as AskClass)?.node).toBe(1);
  });
});

describe('the index', () => {
  const ask = { ...(classes[0] as AskClass), pools: undefined };
  const shapeOf = (seed: number): Shape => ({ ...node(0, 4), cpuMilli: 10_000 + (Math.imul(seed, 2_654_435_761) >>> 12) });

  it('chooses the same when it has dropped tens of thousands of shapes that no node has any more', () => {
    const policy = bestFit({ cpuMilli: 2_000_000, gpus: 4 });
    const nodes = Array.from({ length: 20 }, (_, at) => shapeOf(at));
    const index = new PlacementIndex(nodes, policy);
    for (let change = 20; change < 40_000; change += 1) {
      const at = change % nodes.length;
      nodes[at] = shapeOf(change);
      index.reshape(at, nodes[at] as Shape);
      if (change % 97 === 0) expect(index.find(ask)?.node).toBe(byScan(nodes, ask, policy)?.node);
    }
    expect(nodes.map((_, at) => plain(index.shapeOf(at)))).toEqual(nodes.map(plain));
  });

  it('finds among some of the nodes what a look at each of them would', () => {
    fc.assert(
      fc.property(clusters, events, fc.nat(255), (cluster, happenings, mask) => {
        const nodes = cluster.map(({ pool, gpus }) => node(pool, gpus));
        const index = new PlacementIndex(nodes, bestFit(largest));
        const isAccepted = (at: number): boolean => (mask & (1 << at)) !== 0;
        for (const { which } of happenings) {
          const wanted = classes[which % classes.length] as AskClass;
          const expected = byScan(
            nodes.map((shape, at) => (isAccepted(at) ? shape : { ...shape, cpuMilli: -1 })),
            wanted,
            bestFit(largest),
          );
          const found = index.findWhere(wanted, isAccepted);
          expect(found?.node).toBe(expected?.node);
          if (found === undefined) continue;
          nodes[found.node] = found.after;
          index.reshape(found.node, found.after);
        }
      }),
      { numRuns: 40 },
    );
  });

  it('judges anew by another policy', () => {
    const nodes = [node(0, 4), { ...node(0, 4), gpus: Uint16Array.from([1000, 0, 0, 0]) }];
    const index = new PlacementIndex(nodes, spread);
    expect(index.find(ask)?.node).toBe(0);
    index.usePolicy(bestFit(largest));
    expect(index.find(ask)?.node).toBe(1);
  });
});
