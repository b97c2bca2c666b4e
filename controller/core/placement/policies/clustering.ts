import { type AskClass, isShare } from '../demand.ts';
import type { PlacementPolicy } from '../policy.ts';
import { freeGpus, freeMilli } from '../shape.ts';
import type { LargestNode } from './best-fit.ts';

/** Keeps asks of one size together: a node that has only had such asks is best, one that never had any is next. */
export function clustering(largest: LargestNode): PlacementPolicy {
  return {
    name: 'clustering',
    gpuChoice: 'tightest',
    mark: (marks, ask) => (ask.gpus === 0 ? marks : marks | kindOf(ask)),
    score(before, _after, ask) {
      if (ask.gpus === 0) return 0;
      const base = Math.floor((25 * (1000 * largest.gpus - freeMilli(before.gpus))) / (1000 * largest.gpus));
      if (before.marks === 0) return base + 25;
      if (before.marks === kindOf(ask)) return base + 75;
      return (before.marks & kindOf(ask)) === 0 ? base : base + 50;
    },
  };
}

/** A bit of its own for shares, for one GPU, for two, and so on. */
function kindOf(ask: AskClass): number {
  return 1 << (isShare(ask) ? 0 : ask.gpus);
}

/** GPUs in use before free ones, nodes in use before free ones. */
export const packing: PlacementPolicy = {
  name: 'packing',
  gpuChoice: 'tightest',
  score(before, _after, ask) {
    if (ask.gpus === 0) return 0;
    const free = freeGpus(before.gpus);
    if (free === before.gpus.length) return Math.max(33 - free, free);
    if (!isShare(ask)) return Math.max(50 - ask.gpus, 33);
    const tightest = before.gpus.findLast((milli) => milli >= ask.milli) ?? 1000;
    if (tightest === 1000) return 49;
    return Math.max(100 - Math.floor(Math.floor(tightest / 10) / 10), 50);
  },
};
