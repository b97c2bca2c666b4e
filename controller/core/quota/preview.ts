import type { Vector } from './amounts.ts';
import type { QuotaAccount } from './quota-account.ts';
import type { QuotaSpec } from './quota-spec.ts';
import type { QuotaNode } from './quota-tree.ts';

export interface QuotaPreview {
  /** Running work that would be borrowed and is not now; the other way round. */
  readonly becomesBorrowed: readonly string[];
  readonly becomesKept: readonly string[];
  /** Nodes that would hold more than they may. */
  readonly exceeding: readonly string[];
  /** Waiting work that the quotas would let in and do not now, each looked at after those before it. */
  readonly admitted: readonly string[];
}

/** What setting a quota would change, tried on the account itself and undone. */
export function previewQuota(
  account: QuotaAccount,
  name: string,
  quota: Pick<QuotaSpec, 'guaranteed' | 'limit'>,
  waiting: readonly { readonly id: string; readonly leaf: QuotaNode; readonly amount: Vector }[],
): QuotaPreview {
  const borrowed = (): ReadonlySet<string> => new Set([...account.all()].filter((one) => account.isBorrowed(one)).map(({ id }) => id));
  const admitted = (): readonly string[] => {
    const { tree } = account;
    const taken = waiting.filter(({ leaf, amount }) => {
      const lets = tree.admit(leaf, amount).kind !== 'refused';
      if (lets) tree.charge(leaf, amount, true);
      return lets;
    });
    for (const { leaf, amount } of taken) tree.release(leaf, amount, true);
    return taken.map(({ id }) => id);
  };
  const [borrowedBefore, admittedBefore] = [borrowed(), new Set(admitted())];
  const undoQuota = account.tree.setQuota(name, quota);
  const undoLabels = account.relabel();
  const borrowedAfter = borrowed();
  const preview: QuotaPreview = {
    becomesBorrowed: [...borrowedAfter].filter((id) => !borrowedBefore.has(id)),
    becomesKept: [...borrowedBefore].filter((id) => !borrowedAfter.has(id)),
    exceeding: [...account.tree.nodes()]
      .filter(({ used, limit }) => used.some((sum, axis) => sum > (limit[axis] ?? 0)))
      .map((node) => node.name),
    admitted: admitted().filter((id) => !admittedBefore.has(id)),
  };
  undoLabels();
  undoQuota();
  return preview;
}
