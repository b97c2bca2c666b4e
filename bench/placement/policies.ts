import type { PolicyMaker } from '@astrago/controller/core/bays/bays';
import type { AskClass, Demand } from '@astrago/controller/core/placement/demand';
import { type Placement, PlacementIndex } from '@astrago/controller/core/placement/placement-index';
import { bestFit, dotProduct } from '@astrago/controller/core/placement/policies/best-fit';
import { clustering, packing } from '@astrago/controller/core/placement/policies/clustering';
import { expectedFill, type ObservingPolicy } from '@astrago/controller/core/placement/policies/expected-fill';
import { fragmentationGradient } from '@astrago/controller/core/placement/policies/fragmentation-gradient';
import { firstFit, spread } from '@astrago/controller/core/placement/policies/order';
import { RandomPlacement } from '@astrago/controller/core/placement/random-placement';
import type { Shape } from '@astrago/controller/core/placement/shape';
import { fillByOutlook } from '@astrago/controller/core/scheduling/scheduler';
import { demandEstimate } from './demand-estimate.ts';
import type { OpenbNode } from './openb.ts';

export interface Placer {
  place(ask: AskClass): Placement | undefined;
  /** Work has ended on the node: what is free there from now on, by what is free now. */
  release(ask: AskClass, node: number, after: (now: Shape) => Shape): void;
}

interface Setting {
  /** In their fixed order. */
  readonly ranked: readonly OpenbNode[];
  /** What is known of it beforehand. */
  readonly demand: Demand;
  readonly random: () => number;
  /** Whether the demand is found out from what arrives, instead of being known; only what observes can do so. */
  readonly learn: boolean;
}

const largest = { cpuMilli: 128_000, gpus: 8 };

/** By name. */
export const policies: Readonly<Record<string, PolicyMaker>> = {
  astrago: fillByOutlook,
  fgd: ({ demand }) => fragmentationGradient(demand),
  'best-fit': () => bestFit(largest),
  'dot-product': () => dotProduct(largest),
  clustering: () => clustering(largest),
  packing: () => packing,
  'first-fit': () => firstFit,
  spread: () => spread,
};

export const policyNames = [...Object.keys(policies), 'random'];

export function placerOf(name: string, setting: Setting): Placer {
  const shapes = setting.ranked.map(emptyShape);
  if (name === 'astrago') return observedPlacer(shapes, setting);
  if (setting.learn) throw new Error(`${name} does not learn`);
  if (name === 'random') {
    const placement = new RandomPlacement(shapes, setting.random);
    const held = [...shapes];
    return {
      place(ask) {
        const placed = placement.place(ask);
        if (placed !== undefined) held[placed.node] = placed.after;
        return placed;
      },
      release(_ask, node, after) {
        const shape = after(held[node] as Shape);
        held[node] = shape;
        placement.reshape(node, shape);
      },
    };
  }
  const policy = policies[name];
  if (policy === undefined) throw new Error(`there is no policy ${name}; there are ${policyNames.join(', ')}`);
  const index = new PlacementIndex(
    shapes,
    policy({ demand: setting.demand, capacity: capacityOf(setting.ranked), free: capacityOf(setting.ranked), turnover: 0 }),
  );
  return {
    place: (ask) => index.place(ask),
    release: (_ask, node, after) => index.reshape(node, after(index.shapeOf(node))),
  };
}

/** The index, with a policy that is told of all that happens. */
function observedPlacer(shapes: readonly Shape[], { ranked, demand, learn }: Setting): Placer {
  const estimate = learn ? demandEstimate() : undefined;
  const policy: ObservingPolicy = expectedFill(estimate?.demand ?? demand, capacityOf(ranked));
  const index = new PlacementIndex(shapes, policy);
  let learned = estimate?.version;
  return {
    place(ask) {
      policy.observe.arrived(ask);
      estimate?.arrived(ask);
      if (estimate !== undefined && estimate.version !== learned) {
        learned = estimate.version;
        policy.expect(estimate.demand);
      }
      const placed = index.place(ask);
      if (placed !== undefined) policy.observe.changed(placed.before, placed.after);
      return placed;
    },
    release(ask, node, after) {
      const before = index.shapeOf(node);
      const shape = after(before);
      index.reshape(node, shape);
      policy.observe.departed(ask);
      policy.observe.changed(before, shape);
    },
  };
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
