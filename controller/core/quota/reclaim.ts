import type { Vector } from './amounts.ts';
import type { Charge, QuotaAccount } from './quota-account.ts';
import type { QuotaNode, QuotaTree } from './quota-tree.ts';
import { dominant, surplusShares } from './shares.ts';

export interface Claim {
  readonly leaf: QuotaNode;
  readonly amount: Vector;
  readonly priority: number;
}

export interface ReclaimRules {
  readonly nowMs: number;
  /** Work is left alone for so long after its start. */
  readonly protectionMs: number;
  /** Whether the claimant has a place once these are gone: on the machines, not only by numbers. */
  readonly fitsAfter: (victims: readonly Charge[]) => boolean;
  /** Work that must not be chosen: what is ending already, or was evicted for this claimant before. */
  readonly spares?: ((charge: Charge) => boolean) | undefined;
  /** Whom to take first inside a leaf and a priority; the last started first when absent. */
  readonly prefers?: ((a: Charge, b: Charge) => number) | undefined;
}

export type ReclaimAnswer =
  | { readonly kind: 'evict'; readonly victims: readonly Charge[] }
  | { readonly kind: 'refused'; readonly reason: 'beyond-guarantee' | 'nothing-to-take-back' | 'no-place-after' };

/**
 * Whom to evict so that a claim within its guarantee starts: borrowed work of the leaf that holds most beyond its own
 * guarantee, lower priorities first. Work of the claimant's own leaf comes last.
 *
 * What is bounded: without any one of the victims the claim would not start. So, on counts of one resource, less is
 * evicted than what is missing plus the smallest victim, and no more than what is missing where one unit is the size of
 * all. Work that is kept by a guarantee is never evicted, hence nobody can answer an eviction with another: an evicted
 * piece that comes back within its guarantee takes only what is borrowed, and the claimant is not.
 */
export function reclaim(account: QuotaAccount, claim: Claim, rules: ReclaimRules): ReclaimAnswer {
  const { tree } = account;
  if (!tree.fitsGuarantee(claim.leaf, claim.amount)) return { kind: 'refused', reason: 'beyond-guarantee' };
  const prefers = rules.prefers ?? lastStartedFirst;
  const candidates = new Map<QuotaNode, Charge[]>();
  for (const leaf of tree.leaves()) {
    const open = account
      .borrowedOf(leaf)
      .filter((one) => rules.nowMs - one.startedAtMs >= rules.protectionMs && rules.spares?.(one) !== true)
      .sort((a, b) => b.priority - a.priority || prefers(b, a));
    if (open.length > 0) candidates.set(leaf, open);
  }
  return choose(account, claim, rules, () => mostBeyond(tree, candidates, claim.leaf));
}

function lastStartedFirst(a: Charge, b: Charge): number {
  return b.sequence - a.sequence;
}

function choose(account: QuotaAccount, claim: Claim, rules: ReclaimRules, next: () => Charge | undefined): ReclaimAnswer {
  const { tree } = account;
  const chosen: Charge[] = [];
  const undos: (() => void)[] = [];
  const starts = (victims: readonly Charge[]): boolean => {
    const back = chosen.filter((one) => !victims.includes(one));
    for (const { leaf, amount } of back) tree.charge(leaf, amount, true);
    const fits = tree.admit(claim.leaf, claim.amount).kind !== 'refused';
    for (const { leaf, amount } of back) tree.release(leaf, amount, true);
    return fits && rules.fitsAfter(victims);
  };
  try {
    let fits = false;
    while (!fits) {
      const victim = next();
      if (victim === undefined) return { kind: 'refused', reason: chosen.length === 0 ? 'nothing-to-take-back' : 'no-place-after' };
      undos.push(account.end(victim.id, { promote: false }));
      chosen.push(victim);
      fits = starts(chosen);
    }
    // The largest is spared first: what is left is less.
    let victims: readonly Charge[] = chosen;
    for (const spared of chosen.toSorted((a, b) => size(b) - size(a) || chosen.indexOf(b) - chosen.indexOf(a))) {
      const fewer = victims.filter((one) => one !== spared);
      if (fewer.length > 0 && starts(fewer)) victims = fewer;
    }
    return { kind: 'evict', victims };
  } finally {
    for (const undo of undos.reverse()) undo();
  }
}

function size({ amount }: Charge): number {
  return amount.reduce((sum, one) => sum + one, 0);
}

/** Takes the next victim of the leaf that is furthest beyond its guarantee, found from the top of the tree down. */
function mostBeyond(tree: QuotaTree, candidates: Map<QuotaNode, Charge[]>, own: QuotaNode): Charge | undefined {
  const ways = new Set<QuotaNode>();
  const others = [...candidates.keys()].filter((leaf) => leaf !== own);
  for (const leaf of others.length > 0 ? others : candidates.keys())
    for (let node: QuotaNode | undefined = leaf; node !== undefined; node = node.parent) ways.add(node);
  let at = tree.root;
  while (at.children.length > 0) {
    let most: { readonly node: QuotaNode; readonly beyond: number } | undefined;
    for (const node of at.children) {
      if (!ways.has(node)) continue;
      const beyond = dominant(surplusShares(tree, node), node);
      if (most === undefined || beyond > most.beyond) most = { node, beyond };
    }
    if (most === undefined) return undefined;
    at = most.node;
  }
  const open = candidates.get(at);
  const victim = open?.pop();
  if (open?.length === 0) candidates.delete(at);
  return victim;
}
