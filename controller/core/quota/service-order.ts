import type { Vector } from './amounts.ts';
import type { QuotaNode, QuotaTree } from './quota-tree.ts';
import { dominant, saturation, surplusShares } from './shares.ts';
import { Siblings, type Standing } from './siblings.ts';

/**
 * Which leaf is served next. First whoever is within its guarantee, the least saturated first; then what is left over
 * by weighted dominant shares in the tree (DRF as in Ghodsi et al., NSDI 2011; in a tree as in Bhattacharya et al., SoCC
 * 2013: the shares of children that may still be served are scaled to the least served of them, and children that ask
 * in vain are left out, so that neither starves beside a sibling who needs other resources).
 *
 * A change at one leaf costs its path, and on it the logarithm of the siblings; not the leaves, nor what waits in them. An
 * offer that changes nothing about whose turn it is costs the leaf only.
 */
export class ServiceOrder {
  readonly #tree: QuotaTree;
  readonly #standings = new Map<QuotaNode, Standing>();
  readonly #siblings = new Map<QuotaNode, Siblings>();
  /** What a leaf held when it was last looked at. */
  readonly #held = new Map<QuotaNode, Vector>();
  readonly #asks: Map<QuotaNode, Vector>;
  /** Leaves that a limit keeps back, with the node whose it is. */
  readonly #kept = new Map<QuotaNode, string>();
  readonly #keptBy = new Map<string, Set<QuotaNode>>();

  /** `asks` as by `offer`, of many leaves at the cost of one look at the tree. */
  constructor(tree: QuotaTree, asks: Iterable<readonly [QuotaNode, Vector]> = []) {
    this.#tree = tree;
    this.#asks = new Map(asks);
    for (const node of [...tree.nodes()].reverse()) {
      if (node.children.length > 0)
        this.#siblings.set(
          node,
          new Siblings(
            node.children,
            (child) => this.#standing(child),
            (a, b) => this.#isBefore(a, b),
          ),
        );
      this.#standings.set(node, this.#stand(node));
      this.#held.set(node, node.used.slice());
    }
  }

  /** What a leaf asks for next; absent when nothing waits there. */
  offer(leaf: QuotaNode, ask: Vector | undefined): void {
    if (ask === undefined) this.#asks.delete(leaf);
    else this.#asks.set(leaf, ask);
    this.#free(leaf);
    this.#rekey(leaf);
  }

  /** What the leaf holds has changed; `released` when it became less, which may let others at the same limits go on. */
  changed(leaf: QuotaNode, released = false): void {
    this.#rekey(leaf);
    if (!released) return;
    for (let node: QuotaNode | undefined = leaf; node !== undefined; node = node.parent)
      for (const kept of [...(this.#keptBy.get(node.name) ?? [])]) {
        this.#free(kept);
        this.#rekey(kept);
      }
  }

  /** Whose turn it is, also where a limit keeps it back; absent when nobody asks. For who looks at each ask once. */
  turn(): { readonly leaf: QuotaNode; readonly ask: Vector } | undefined {
    for (;;) {
      let leaf = this.#tree.root;
      for (let below = this.#first(leaf); below !== undefined; below = this.#first(leaf)) leaf = below;
      const ask = this.#asks.get(leaf);
      const { turn } = this.#standing(leaf);
      if (ask === undefined || turn === 'none') return undefined;
      // Others may have used up the guarantee above it since it was looked at.
      if (turn === this.#turnOf(leaf, ask)) return { leaf, ask };
      this.#rekey(leaf);
    }
  }

  /** The next leaf that no limit keeps back, and whether it would borrow; absent when nobody may be served. */
  next(): { readonly leaf: QuotaNode; readonly ask: Vector; readonly borrows: boolean } | undefined {
    for (let turn = this.turn(); turn !== undefined; turn = this.turn()) {
      const { leaf, ask } = turn;
      const verdict = this.#tree.admit(leaf, ask);
      if (verdict.kind !== 'refused' || verdict.withinGuarantee) return { leaf, ask, borrows: verdict.kind === 'borrowing' };
      this.#keep(leaf, verdict.node);
      this.#rekey(leaf);
    }
    return undefined;
  }

  #first(node: QuotaNode): QuotaNode | undefined {
    return this.#siblings.get(node)?.first;
  }

  #rekey(leaf: QuotaNode): void {
    const before = this.#standing(leaf);
    const now = this.#stand(leaf);
    const held = this.#held.get(leaf);
    this.#standings.set(leaf, now);
    // Everything above a leaf follows from these.
    const isSame = before.turn === now.turn && before.asksInVain === now.asksInVain;
    if (isSame && held?.every((amount, axis) => amount === leaf.used[axis]) === true) return;
    this.#held.set(leaf, leaf.used.slice());
    let node = leaf;
    for (let above = node.parent; above !== undefined; above = node.parent) {
      this.#siblings.get(above)?.set(node, this.#standing(node));
      this.#standings.set(above, this.#stand(above));
      node = above;
    }
  }

  #stand(node: QuotaNode): Standing {
    const siblings = this.#siblings.get(node);
    if (siblings !== undefined) {
      const { first, asksInVain } = siblings;
      const turn = first === undefined ? 'none' : this.#standing(first).turn;
      const shares = siblings.shares();
      return { turn, key: this.#key(node, turn, shares), shares, asksInVain };
    }
    const ask = this.#asks.get(node);
    const shares = surplusShares(this.#tree, node);
    const asksInVain = this.#kept.has(node);
    const turn = ask === undefined || asksInVain ? 'none' : this.#turnOf(node, ask);
    return { turn, key: this.#key(node, turn, shares), shares, asksInVain };
  }

  /** Who asks only for what nobody is promised is served by shares, and borrows nothing. */
  #turnOf(leaf: QuotaNode, ask: Vector): Standing['turn'] {
    return ask.some((asked, axis) => asked > 0 && this.#tree.isPromised(axis)) && this.#tree.fitsGuarantee(leaf, ask)
      ? 'guaranteed'
      : 'surplus';
  }

  #key(node: QuotaNode, turn: Standing['turn'], shares: Float64Array): number {
    if (turn !== 'surplus') return turn === 'none' ? Number.POSITIVE_INFINITY : saturation(this.#tree, node);
    return dominant(shares, node);
  }

  #isBefore(a: QuotaNode, b: QuotaNode): boolean {
    const [first, second] = [this.#standing(a), this.#standing(b)];
    if (first.turn !== second.turn) return first.turn === 'guaranteed';
    return first.key === second.key ? a.name < b.name : first.key < second.key;
  }

  #keep(leaf: QuotaNode, by: string): void {
    this.#kept.set(leaf, by);
    const others = this.#keptBy.get(by);
    if (others === undefined) this.#keptBy.set(by, new Set([leaf]));
    else others.add(leaf);
  }

  #free(leaf: QuotaNode): void {
    const by = this.#kept.get(leaf);
    if (by === undefined) return;
    this.#kept.delete(leaf);
    this.#keptBy.get(by)?.delete(leaf);
  }

  #standing(node: QuotaNode): Standing {
    return this.#standings.get(node) ?? this.#stand(node);
  }
}
