// What a plan is worth: to tell the better of two.
import { changeCost } from './change-cost.ts';
import type { DemandClass } from './demand.ts';
import type { RepartitionPlan } from './repartition-plan.ts';

export interface PlanValue {
  /** Of the demand, by weight. */
  readonly met: number;
  readonly wanted: number;
  readonly cost: number;
}

export function planValue(plan: RepartitionPlan, demand: readonly DemandClass[]): PlanValue {
  const weights = new Map(demand.map(({ id, weight }) => [id, weight]));
  return {
    met: plan.claims.reduce((sum, claim) => sum + (weights.get(claim.demand) ?? 0), 0),
    wanted: demand.reduce((sum, { weight, count }) => sum + weight * count, 0),
    cost: plan.changes.reduce((sum, change) => sum + changeCost(change.before, change.layout), 0),
  };
}

/** Meets more, or as much for less. */
export function isBetterPlan(a: PlanValue, b: PlanValue): boolean {
  return a.met > b.met || (a.met === b.met && a.cost < b.cost);
}
