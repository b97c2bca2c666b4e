import type { PolicyMaker } from '@astrago/controller/core/bays/bays';
import type { AskClass, Demand } from '@astrago/controller/core/placement/demand';
import { type Placement, PlacementIndex } from '@astrago/controller/core/placement/placement-index';
import { bestFit, dotProduct } from '@astrago/controller/core/placement/policies/best-fit';
import { clustering, packing } from '@astrago/controller/core/placement/policies/clustering';
import { expectedFill, expectedFillDefaults } from '@astrago/controller/core/placement/policies/expected-fill';
import { fragmentationGradient } from '@astrago/controller/core/placement/policies/fragmentation-gradient';
import { firstFit, spread } from '@astrago/controller/core/placement/policies/order';
import { RandomPlacement } from '@astrago/controller/core/placement/random-placement';
import type { Shape } from '@astrago/controller/core/placement/shape';
import type { OpenbNode } from './openb.ts';

export interface Placer {
  place(ask: AskClass): Placement | undefined;
  reshape(node: number, shape: Shape): void;
}

const largest = { cpuMilli: 128_000, gpus: 8 };

/** By name: from the demand, and the GPUs by pool. */
export const policies: Readonly<Record<string, PolicyMaker>> = {
  astrago: (demand, capacity) => expectedFill(demand, capacity, { ...expectedFillDefaults }),
  fgd: fragmentationGradient,
  'best-fit': () => bestFit(largest),
  'dot-product': () => dotProduct(largest),
  clustering: () => clustering(largest),
  packing: () => packing,
  'first-fit': () => firstFit,
  spread: () => spread,
};

export const policyNames = [...Object.keys(policies), 'random'];

/** @param ranked the nodes in their fixed order. */
export function placerOf(name: string, ranked: readonly OpenbNode[], demand: Demand, random: () => number): Placer {
  const shapes = ranked.map(emptyShape);
  if (name === 'random') return new RandomPlacement(shapes, random);
  const policy = policies[name];
  if (policy === undefined) throw new Error(`there is no policy ${name}; there are ${policyNames.join(', ')}`);
  return new PlacementIndex(shapes, policy(demand, capacityOf(ranked)));
}

export function emptyShape(node: OpenbNode): Shape {
  const { pool, cpuMilli, memoryMiB } = node;
  return { pool, cpuMilli, memoryMiB, gpus: new Uint16Array(node.gpus).fill(1000), marks: 0, worth: Number.NaN };
}

function capacityOf(nodes: readonly OpenbNode[]): readonly number[] {
  const capacity: number[] = [];
  for (const { pool, gpus } of nodes) capacity[pool] = (capacity[pool] ?? 0) + gpus;
  return capacity;
}
