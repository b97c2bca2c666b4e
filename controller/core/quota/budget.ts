/** GPU time that a quota may use in a period, in slice-unit milliseconds. */
export interface Budget {
  readonly periodStartMs: number;
  readonly periodMs: number;
  /** Beyond it nothing more starts; absent for no such bound. */
  readonly hard?: number | undefined;
  /** Beyond it work is served after others; absent for no such bound. */
  readonly soft?: number | undefined;
}

/** What has been used: held units integrated over time, in the period that `atMs` lies in. */
export interface BudgetUse {
  readonly atMs: number;
  readonly units: number;
  readonly used: number;
}

export type BudgetAnswer =
  | { readonly kind: 'within' }
  | { readonly kind: 'over-soft' }
  | { readonly kind: 'refused'; readonly untilMs: number };

/** Counts what was held until now; from the start of a new period only what was held in it. Times do not run backwards. */
export function advanceUse(budget: Budget, use: BudgetUse, nowMs: number, units = use.units): BudgetUse {
  const startMs = periodOf(budget, nowMs);
  const before = use.atMs < startMs ? 0 : use.used;
  return { atMs: nowMs, units, used: before + use.units * (nowMs - Math.max(startMs, use.atMs)) };
}

/** Whether more may start, by what `advanceUse` has counted up to now. */
export function checkBudget(budget: Budget, use: BudgetUse): BudgetAnswer {
  if (budget.hard !== undefined && use.used >= budget.hard)
    return { kind: 'refused', untilMs: periodOf(budget, use.atMs) + budget.periodMs };
  return { kind: budget.soft !== undefined && use.used >= budget.soft ? 'over-soft' : 'within' };
}

function periodOf({ periodStartMs, periodMs }: Budget, atMs: number): number {
  return periodStartMs + Math.floor((atMs - periodStartMs) / periodMs) * periodMs;
}
