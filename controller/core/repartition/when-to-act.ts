// What becomes of a plan: nothing, a proposal to people, or an order. Slow on purpose, so that layouts do not flap.
import { formatLayout } from '@astrago/shared/domain/mig/layout';
import type { PlanValue } from './plan-value.ts';
import type { RepartitionPlan } from './repartition-plan.ts';

/** Of a pool: nothing is planned, plans are shown, plans are carried out. */
export type RepartitionMode = 'off' | 'propose' | 'act';

/** A layout that was left, and when. */
export interface LeftLayout {
  readonly gpu: string;
  /** As `formatLayout` writes it. */
  readonly layout: string;
  readonly atMs: number;
}

export interface Patience {
  /** Demand has to be unmet this long: what ends by itself until then is not worth a change. */
  readonly settleMs: number;
  /** Between two plans that are carried out in one pool. */
  readonly cooldownMs: number;
  /** No GPU returns to a layout that it left less than this ago. */
  readonly returnMs: number;
  /** By weight: less is not worth a change. */
  readonly gainMin: number;
  /** Work that has found a place is expected to use it this long; moving must not lose more than that. */
  readonly horizonSeconds: number;
}

export interface Situation {
  readonly mode: RepartitionMode;
  readonly plan: RepartitionPlan;
  /** Of this plan, and of leaving everything as it is. */
  readonly value: PlanValue;
  readonly valueAsItIs: PlanValue;
  /** What moving costs and brings; absent for a plan without moves. */
  readonly moving: { readonly sliceSeconds: number; readonly units: number } | undefined;
  /** Since when there has been unmet demand without a break; absent when there is none. */
  readonly unmetSinceMs: number | undefined;
  readonly actedAtMs: number | undefined;
  readonly left: readonly LeftLayout[];
  readonly nowMs: number;
}

export type Verdict =
  | { readonly kind: 'nothing'; readonly reason: 'off' | 'changes-nothing' | 'gain-too-small' | 'moves-cost-too-much' }
  | { readonly kind: 'propose' }
  /** In mode act, for a plan that is shown until its time has come. */
  | { readonly kind: 'wait'; readonly reason: 'settling' | 'cooling-down' | 'would-return'; readonly untilMs: number }
  | { readonly kind: 'act' };

export function whatToDo(situation: Situation, patience: Patience): Verdict {
  const { mode, plan, value, valueAsItIs, moving } = situation;
  if (mode === 'off') return { kind: 'nothing', reason: 'off' };
  if (plan.changes.length === 0 && plan.moves.length === 0) return { kind: 'nothing', reason: 'changes-nothing' };
  if (value.met - valueAsItIs.met < Math.max(1, patience.gainMin)) return { kind: 'nothing', reason: 'gain-too-small' };
  if (moving !== undefined && moving.sliceSeconds > moving.units * patience.horizonSeconds)
    return { kind: 'nothing', reason: 'moves-cost-too-much' };
  if (mode === 'propose') return { kind: 'propose' };
  return waitFor(situation, patience) ?? { kind: 'act' };
}

function waitFor({ plan, unmetSinceMs, actedAtMs, left, nowMs }: Situation, patience: Patience): Verdict | undefined {
  const settledAtMs = (unmetSinceMs ?? nowMs) + patience.settleMs;
  if (nowMs < settledAtMs) return { kind: 'wait', reason: 'settling', untilMs: settledAtMs };
  const cooledAtMs = actedAtMs === undefined ? nowMs : actedAtMs + patience.cooldownMs;
  if (nowMs < cooledAtMs) return { kind: 'wait', reason: 'cooling-down', untilMs: cooledAtMs };
  const returns = left.filter(({ gpu, layout, atMs }) => {
    if (nowMs >= atMs + patience.returnMs) return false;
    return plan.changes.some((change) => change.gpu === gpu && formatLayout(change.layout) === layout);
  });
  if (returns.length === 0) return undefined;
  return { kind: 'wait', reason: 'would-return', untilMs: Math.max(...returns.map(({ atMs }) => atMs + patience.returnMs)) };
}
