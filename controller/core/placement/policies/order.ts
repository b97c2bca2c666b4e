import type { PlacementPolicy } from '../policy.ts';
import { freeMilli } from '../shape.ts';

/** The first node that has room. */
export const firstFit: PlacementPolicy = { name: 'first-fit', gpuChoice: 'tightest', score: () => 0 };

/** The node with the most left afterwards. */
export const spread: PlacementPolicy = {
  name: 'spread',
  gpuChoice: 'tightest',
  score: (_before, after) => freeMilli(after.gpus),
};
