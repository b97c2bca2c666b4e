// The better of the plans that were found. The solver is asked outside, because it takes time and may fail.
import type { DemandClass } from './demand.ts';
import { planGreedily } from './greedy.ts';
import { lintPlan, type PlanFinding } from './lint.ts';
import { type MilpModel, milpModel } from './milp-model.ts';
import { isBetterPlan, type PlanValue, planValue } from './plan-value.ts';
import type { Pool } from './pool.ts';
import type { RepartitionPlan } from './repartition-plan.ts';

export interface ValuedPlan {
  readonly plan: RepartitionPlan;
  readonly value: PlanValue;
}

export interface FirstPlan extends ValuedPlan {
  /** Absent when the plan meets all, so that nothing is left to be solved. */
  readonly model: MilpModel | undefined;
}

export function firstPlan(pool: Pool, demand: readonly DemandClass[]): FirstPlan {
  const plan = planGreedily(pool, demand);
  const value = planValue(plan, demand);
  return { plan, value, model: value.met < value.wanted ? milpModel(pool, demand) : undefined };
}

export type SolvedPlan =
  | ({ readonly kind: 'better' } & ValuedPlan)
  | { readonly kind: 'no-better' }
  /** The values do not belong to the program, or the plan they make may not be ordered. */
  | { readonly kind: 'faulty'; readonly findings: readonly PlanFinding[] };

/** What the solver's values are worth beside the best plan so far. They are trusted no more than any other plan. */
export function solvedPlan(
  pool: Pool,
  demand: readonly DemandClass[],
  best: ValuedPlan,
  model: MilpModel,
  values: Readonly<Record<string, number>>,
): SolvedPlan {
  const plan = model.decode(values);
  if (plan === undefined) return { kind: 'faulty', findings: [] };
  const findings = lintPlan(pool, demand, plan);
  if (findings.length > 0) return { kind: 'faulty', findings };
  const value = planValue(plan, demand);
  return isBetterPlan(value, best.value) ? { kind: 'better', plan, value } : { kind: 'no-better' };
}
