import { seededRandom } from '@astrago/controller/core/cluster/sample-random';
import { churn, drawArrivals } from '@astrago/controller/core/mig/churn';
import { placementTableOf } from '@astrago/controller/core/mig/placement-table';
import { publishedRules } from '@astrago/controller/core/mig/standing-rules';
import { describe, expect, it } from 'vitest';
import { gridFor } from './grid.ts';
import { pool } from './pool.ts';
import { type Stream, simulate } from './simulate.ts';

const { catalogue, profiles } = gridFor('h100-80gb');
const { sets } = catalogue;
const weights = [1, 1, 1, 1, 1, 1];

function streamOf(seed: number, movable: number): Stream {
  const arrivals = drawArrivals(sets, { count: 6000, gpus: 20, load: 1, weights }, seededRandom(seed));
  return { ...arrivals, profiles, movable: new Uint8Array(6000).fill(movable) };
}

describe('the loss system of whole layouts', () => {
  it('gives what the one of sets of windows gives, rule by rule', () => {
    const stream = streamOf(1, 0);
    for (const rule of Object.values(publishedRules).map((make) => make(sets))) {
      const table = placementTableOf(catalogue, rule);
      const { count, units, used } = simulate(() => table, stream, { gpus: 20, warmUp: 1000, moves: 0 });
      expect({ count, units, used }).toEqual(churn(rule.table, stream, { gpus: 20, warmUp: 1000 }));
    }
  });

  it('gives more slices with moves than without, and moves nothing where nothing is movable', () => {
    const table = placementTableOf(catalogue, publishedRules['fragu-w10']?.(sets) ?? gone());
    const setting = { gpus: 20, warmUp: 1000, moves: 1 };
    const moved = simulate(() => table, streamOf(1, 1), setting);
    const fixed = simulate(() => table, streamOf(1, 0), setting);
    expect(moved.moves).toBeGreaterThan(0);
    expect(moved.units).toBeGreaterThan(fixed.units);
    expect(fixed).toMatchObject({ moves: 0, ...churn((publishedRules['fragu-w10']?.(sets) ?? gone()).table, streamOf(1, 0), setting) });
  });

  it('gives fewer slices than one pool of as many', () => {
    const table = placementTableOf(catalogue, publishedRules['fragu-w10']?.(sets) ?? gone());
    const setting = { gpus: 20, warmUp: 1000, moves: 0 };
    expect(simulate(() => table, streamOf(2, 0), setting).units).toBeLessThan(pool(sets, streamOf(2, 0), setting).units);
  });
});

function gone(): never {
  throw new Error('the rule is gone');
}
