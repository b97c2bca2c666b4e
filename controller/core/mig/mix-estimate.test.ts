import { describe, expect, it } from 'vitest';
import { seededRandom } from '../cluster/sample-random.ts';
import { layoutCatalogueOf } from './layout-catalogue.ts';
import { MixEstimate, weightsByKind } from './mix-estimate.ts';
import { gridOfModel } from './sample-grids.ts';

const [small, medium, large] = ['1g.10gb', '3g.40gb', '7g.80gb'].map((text) => {
  const name = gridOfModel('h100-80gb').profiles.find((profile) => profile.name === text)?.name;
  if (name === undefined) throw new Error(text);
  return name;
}) as [never, never, never];

function ask(estimate: MixEstimate, count: number, share: readonly number[], random: () => number): void {
  for (let at = 0; at < count; at += 1) {
    const drawn = random();
    estimate.asked(drawn < (share[0] ?? 0) ? small : drawn < (share[0] ?? 0) + (share[1] ?? 0) ? medium : large);
  }
}

describe('the estimate of a mix', () => {
  it('is silent until enough was asked, and near the truth from then on', () => {
    const estimate = new MixEstimate();
    ask(estimate, 400, [0.5, 0.3, 0.2], seededRandom(1));
    expect(estimate.mix()).toBeUndefined();
    ask(estimate, 3600, [0.5, 0.3, 0.2], seededRandom(2));
    const mix = estimate.mix();
    expect(mix?.get(small)).toBeCloseTo(0.5, 1);
    expect(mix?.get(medium)).toBeCloseTo(0.3, 1);
    expect([...(mix?.values() ?? [])].reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 9);
  });

  it('sees no drift in a steady mix, and sees it when the mix has become another', () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const estimate = new MixEstimate();
      const random = seededRandom(seed);
      ask(estimate, 600, [0.5, 0.3, 0.2], random);
      const basis = estimate.mix() ?? new Map();
      for (let round = 0; round < 20; round += 1) {
        ask(estimate, 500, [0.5, 0.3, 0.2], random);
        expect(estimate.hasDriftedFrom(basis)).toBe(false);
      }
      ask(estimate, 8000, [0.2, 0.3, 0.5], random);
      expect(estimate.hasDriftedFrom(basis)).toBe(true);
    }
  });

  it('counts variants of a profile as one kind', () => {
    const catalogue = layoutCatalogueOf(gridOfModel('h100-80gb'));
    const media = gridOfModel('h100-80gb').profiles.find(({ name }) => name === '1g.10gb+me')?.name;
    if (catalogue === undefined || media === undefined) throw new Error('no 1g.10gb+me');
    const weights = weightsByKind(
      catalogue,
      new Map([
        [small, 0.5],
        [media, 0.25],
        [large, 0.25],
      ]),
    );
    expect(weights).toEqual([0.75, 0, 0, 0, 0, 0.25]);
  });

  it('forgets what was asked long ago, and keeps its sums finite', () => {
    const estimate = new MixEstimate({ memory: 20, knownFrom: 10, drift: 0.1 });
    ask(estimate, 10_000, [1, 0, 0], seededRandom(1));
    ask(estimate, 200, [0, 0, 1], seededRandom(1));
    expect(estimate.mix()?.get(large)).toBeGreaterThan(0.999);
  });
});
