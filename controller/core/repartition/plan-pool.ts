import type { DemandClass } from './demand.ts';
import { lintPlan, type PlanFinding } from './lint.ts';
import type { MilpOutcome, Solve } from './milp-outcome.ts';
import { firstPlan, solvedPlan, type ValuedPlan } from './planner.ts';
import type { Pool } from './pool.ts';

/** What became of asking the solver; the plan stands whatever it is. */
export type SolverNote =
  | { readonly kind: 'not-needed' }
  | { readonly kind: 'optimal' }
  | { readonly kind: 'too-large'; readonly variables: number }
  /** As much as possible is met, but perhaps with more changes than needed. */
  | { readonly kind: 'not-cheapest'; readonly outcome: Exclude<MilpOutcome, { kind: 'solved' }> | { readonly kind: 'faulty' } }
  | Exclude<MilpOutcome, { kind: 'solved' }>
  | { readonly kind: 'faulty'; readonly findings: readonly PlanFinding[] };

export type PlannedPool =
  | ({ readonly kind: 'planned'; readonly solver: SolverNote } & ValuedPlan)
  /** What was planned may not be ordered: a fault of the planner. */
  | { readonly kind: 'faulty'; readonly findings: readonly PlanFinding[] };

/** 256 GPUs with 600 pieces waiting make 6,000; much more would be answered too late, and could take more memory than there is. */
const variablesMax = 50_000;

/** Greedily first; where that leaves demand unmet the solver is asked for the most that can be met, then for the fewest changes. */
export async function planPool(
  pool: Pool,
  demand: readonly DemandClass[],
  solve: Solve,
  mostVariables = variablesMax,
): Promise<PlannedPool> {
  const first = firstPlan(pool, demand);
  const { plan, value, model } = first;
  const findings = lintPlan(pool, demand, plan);
  if (findings.length > 0) return { kind: 'faulty', findings };
  if (model === undefined) return { kind: 'planned', plan, value, solver: { kind: 'not-needed' } };
  if (model.variables > mostVariables) return { kind: 'planned', plan, value, solver: { kind: 'too-large', variables: model.variables } };
  const most = await solve(model.most);
  if (most.kind !== 'solved') return { kind: 'planned', plan, value, solver: most };
  const fullest = solvedPlan(pool, demand, first, model, most.values);
  if (fullest.kind === 'faulty') return { kind: 'planned', plan, value, solver: fullest };
  const best: ValuedPlan = fullest.kind === 'better' ? fullest : first;
  const done = (better: ValuedPlan, solver: SolverNote): PlannedPool => ({
    kind: 'planned',
    plan: better.plan,
    value: better.value,
    solver,
  });
  const least = await solve(model.cheapest(Math.max(value.met, Math.round(most.objective))));
  if (least.kind !== 'solved') return done(best, { kind: 'not-cheapest', outcome: least });
  const cheapest = solvedPlan(pool, demand, best, model, least.values);
  if (cheapest.kind === 'faulty') return done(best, { kind: 'not-cheapest', outcome: { kind: 'faulty' } });
  return done(cheapest.kind === 'better' ? cheapest : best, { kind: 'optimal' });
}
