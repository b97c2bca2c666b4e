import type { AskVariant } from '@astrago/controller/core/bays/ask-variants';
import type { Bays, Found } from '@astrago/controller/core/bays/bays';
import { cutOutcome } from '@astrago/controller/core/placement/cut-outcomes';
import { outcomes, type PlacementPolicy } from '@astrago/controller/core/placement/policy';

/** The best place by a look at every bay, by the same scores: what the index saves. The rank of the bay, or none. */
export function byScan(
  bays: Bays,
  variants: readonly AskVariant[],
  policy: PlacementPolicy,
): Pick<Found['placement'], 'node' | 'score'> | undefined {
  let best: { readonly node: number; readonly score: number } | undefined;
  const uncut = bays.uncut;
  for (let node = 0, before = bays.shapeAt(node); before !== undefined; node += 1, before = bays.shapeAt(node)) {
    for (const { ask } of variants) {
      if (ask.slices !== undefined || ask.timeSliced === true) {
        const score = cutOutcome(before, ask, bays.states, uncut)?.score;
        if (score !== undefined && (best === undefined || score > best.score)) best = { node, score };
        continue;
      }
      for (const after of outcomes(before, ask, policy)) {
        const score = policy.score(before, after, ask);
        if (best === undefined || score > best.score) best = { node, score };
      }
    }
  }
  return best;
}
