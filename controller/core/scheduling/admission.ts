import type { AskVariant } from '../bays/ask-variants.ts';
import type { Verdict } from '../quota/quota-tree.ts';
import type { Obstacle } from './decision.ts';
import type { Ask, Scheduler } from './scheduler.ts';

export type Admission =
  | { readonly kind: 'admitted'; readonly borrowed: boolean }
  | { readonly kind: 'refused'; readonly obstacle: Obstacle; readonly verdict: Verdict };

/**
 * Whether the quotas let a workspace take this much more. What may not be interrupted is never borrowed: it could not be
 * given back.
 */
export function admit({ quotas }: Scheduler, ask: Pick<Ask, 'workspace' | 'interruptible'>, variant: AskVariant): Admission {
  const verdict = quotas.judge(ask.workspace, quotas.chargeOfWay(variant));
  if (verdict.kind === 'refused') return { kind: 'refused', obstacle: 'limit', verdict };
  if (verdict.kind === 'borrowing' && ask.interruptible === undefined) return { kind: 'refused', obstacle: 'guarantee', verdict };
  return { kind: 'admitted', borrowed: verdict.kind === 'borrowing' };
}
