// All that is tried for one pool: cutting anew, and where that leaves demand waiting, moving.
import { formatLayout } from '@astrago/shared/domain/mig/layout';
import { type DemandClass, wantText } from './demand.ts';
import { planGreedily } from './greedy.ts';
import { lintPlan, type PlanFinding } from './lint.ts';
import { type MigrationBounds, type MigrationCost, proposeMoves } from './migrate.ts';
import type { Solve } from './milp-outcome.ts';
import { planPool } from './plan-pool.ts';
import { type PlanValue, planValue } from './plan-value.ts';
import type { Pool } from './pool.ts';
import type { RepartitionPlan } from './repartition-plan.ts';

export interface BestPlan {
  readonly kind: 'plan';
  readonly plan: RepartitionPlan;
  readonly value: PlanValue;
  /** When nothing is cut and nobody moves. */
  readonly valueAsItIs: PlanValue;
  /** Absent for a plan without moves. */
  readonly moving: { readonly cost: MigrationCost; readonly units: number } | undefined;
  readonly text: string;
}

/** What is faulty may not be ordered, and is a fault of the planner. */
export type BestPlanAnswer = BestPlan | { readonly kind: 'faulty'; readonly findings: readonly PlanFinding[] };

export async function bestPlan(pool: Pool, demand: readonly DemandClass[], solve: Solve, bounds: MigrationBounds): Promise<BestPlanAnswer> {
  const planned = await planPool(pool, demand, solve);
  if (planned.kind === 'faulty') return planned;
  const uncut = { ...pool, gpus: pool.gpus.map((gpu) => (gpu.standing === 'open' ? ({ ...gpu, standing: 'settling' } as const) : gpu)) };
  const valueAsItIs = planValue(planGreedily(uncut, demand), demand);
  const moved = proposeMoves(pool, demand, planned, bounds);
  if (moved.kind === 'none') {
    const { plan, value } = planned;
    return { kind: 'plan', plan, value, valueAsItIs, moving: undefined, text: textOf(plan, demand) };
  }
  const { plan, cost, gain, text } = moved;
  const findings = lintPlan(pool, demand, plan);
  if (findings.length > 0) return { kind: 'faulty', findings };
  return { kind: 'plan', plan, value: planValue(plan, demand), valueAsItIs, moving: { cost, units: gain.units }, text };
}

function textOf({ changes, claims }: RepartitionPlan, demand: readonly DemandClass[]): string {
  const pieces = demand.flatMap(({ id, want }) => {
    const count = claims.filter((claim) => claim.demand === id).length;
    return count === 0 ? [] : [`${count} x ${wantText(want)}`];
  });
  return `${pieces.join(', ')} fit after cutting ${changes.map(({ gpu, layout }) => `${gpu} as ${formatLayout(layout)}`).join('; ')}`;
}
