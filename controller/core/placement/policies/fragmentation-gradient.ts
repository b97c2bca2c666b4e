import { type AskClass, allows, type Demand } from '../demand.ts';
import type { PlacementPolicy } from '../policy.ts';
import { freeMilli, type Shape } from '../shape.ts';

/** Asks that make up this much of the demand stand for all of it. */
const typicalShare = 0.95;

/**
 * Fragmentation gradient descent (Weng et al., USENIX ATC 2023): the node whose GPUs lose least of what they are worth
 * to the asks that are typical. Memory plays no part in it, as published.
 */
export function fragmentationGradient(demand: Demand): PlacementPolicy {
  const typical = typicalOf(demand);
  const fragmentOf = (shape: Shape): number => {
    if (Number.isNaN(shape.worth)) shape.worth = typical.reduce((sum, { ask, weight }) => sum + weight * lostTo(ask, shape), 0);
    return shape.worth;
  };
  return {
    name: 'fgd',
    gpuChoice: 'every',
    score: (before, after) => Math.floor(100 / (1 + Math.exp((fragmentOf(after) - fragmentOf(before)) / 1000))),
  };
}

/** Free thousandths of GPUs that an ask could not use here. */
function lostTo(ask: AskClass, shape: Shape): number {
  if (ask.gpus === 0 || !allows(ask, shape.pool) || shape.cpuMilli < ask.cpuMilli) return freeMilli(shape.gpus);
  let fitting = 0;
  let lost = 0;
  for (const milli of shape.gpus) {
    if (milli >= ask.milli) fitting += 1;
    else lost += milli;
  }
  return fitting < ask.gpus ? freeMilli(shape.gpus) : lost;
}

function typicalOf({ classes, weights }: Demand): readonly { readonly ask: AskClass; readonly weight: number }[] {
  const merged = new Map<string, { readonly ask: AskClass; weight: number }>();
  classes.forEach((ask, at) => {
    const key = [ask.cpuMilli, ask.milli, ask.gpus, ...(ask.pools ?? [])].join();
    const entry = merged.get(key) ?? { ask, weight: 0 };
    entry.weight += weights[at] ?? 0;
    merged.set(key, entry);
  });
  const byWeight = [...merged.values()].sort(
    (a, b) => b.weight - a.weight || b.ask.cpuMilli - a.ask.cpuMilli || b.ask.milli - a.ask.milli || b.ask.gpus - a.ask.gpus,
  );
  const total = byWeight.reduce((sum, { weight }) => sum + weight, 0);
  let reached = 0;
  const typical = byWeight.filter(({ weight }) => {
    const needed = reached < typicalShare * total;
    reached += weight;
    return needed;
  });
  const kept = typical.reduce((sum, { weight }) => sum + weight, 0);
  return typical.map(({ ask, weight }) => ({ ask, weight: weight / kept }));
}
