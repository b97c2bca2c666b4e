import type { Vector } from './amounts.ts';
import type { QuotaNode, QuotaTree } from './quota-tree.ts';
import { dominant, saturation, surplusShares } from './shares.ts';
import type { UsageHistory } from './usage-history.ts';

type Turn = 'guaranteed' | 'surplus' | 'none';

interface Standing {
  turn: Turn;
  /** Lower is served first, among nodes of one turn. */
  key: number;
  /** Beyond the guarantee; of a node above others rescaled, so that one child's use does not stand for all. */
  shares: Float64Array;
  best: QuotaNode | undefined;
}

/** `parked` once it was looked at and there was no place for it; `limit` while a quota keeps it back. */
type Keeping = { readonly kind: 'parked' } | { readonly kind: 'limit'; readonly node: string };

/**
 * Which leaf is served next. First whoever is within its guarantee, the least saturated first; then what is left over
 * by weighted dominant shares in the tree (DRF as in Ghodsi et al., NSDI 2011; in a tree as in Bhattacharya et al., SoCC
 * 2013: the shares of children that may still be served are scaled to the least served of them, and children that ask
 * in vain are left out, so that neither starves beside a sibling who needs other resources).
 *
 * A change at one leaf costs its path, and on it a look at the siblings; not the leaves, nor what waits in them.
 */
export class ServiceOrder {
  readonly #tree: QuotaTree;
  readonly #history: UsageHistory | undefined;
  readonly #standings = new Map<QuotaNode, Standing>();
  readonly #asks = new Map<QuotaNode, Vector>();
  readonly #kept = new Map<QuotaNode, Keeping>();
  readonly #keptBy = new Map<string, Set<QuotaNode>>();

  constructor(tree: QuotaTree, history?: UsageHistory) {
    this.#tree = tree;
    this.#history = history;
    this.refresh();
  }

  /** What a leaf asks for next; absent when nothing waits there. Ends its parking. */
  offer(leaf: QuotaNode, ask: Vector | undefined): void {
    if (ask === undefined) this.#asks.delete(leaf);
    else this.#asks.set(leaf, ask);
    this.#free(leaf);
    this.#rekey(leaf);
  }

  /** There is no place for what the leaf asks for; it is passed over until `offer` or `unpark`. */
  park(leaf: QuotaNode): void {
    this.#keep(leaf, { kind: 'parked' });
    this.#rekey(leaf);
  }

  unpark(): void {
    for (const [leaf, { kind }] of [...this.#kept])
      if (kind === 'parked') {
        this.#free(leaf);
        this.#rekey(leaf);
      }
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

  /** All keys anew: after the history has advanced, or quotas have changed. */
  refresh(): void {
    const nodes = [...this.#tree.nodes()].reverse();
    for (const node of nodes) this.#standings.set(node, this.#stand(node));
  }

  /** The next leaf, and whether it would borrow; absent when nobody may be served. */
  next(): { readonly leaf: QuotaNode; readonly ask: Vector; readonly borrows: boolean } | undefined {
    for (;;) {
      let node = this.#tree.root;
      for (let below = this.#standing(node).best; below !== undefined; below = this.#standing(node).best) node = below;
      const ask = this.#asks.get(node);
      const { turn } = this.#standing(node);
      if (ask === undefined || turn === 'none') return undefined;
      const admission = this.#tree.admit(node, ask);
      if (admission.kind === 'refused' && !admission.withinGuarantee) this.#keep(node, { kind: 'limit', node: admission.node });
      else if (turn === this.#turnOf(node, ask)) return { leaf: node, ask, borrows: !this.#tree.fitsGuarantee(node, ask) };
      this.#rekey(node);
    }
  }

  #rekey(leaf: QuotaNode): void {
    for (let node: QuotaNode | undefined = leaf; node !== undefined; node = node.parent) this.#standings.set(node, this.#stand(node));
  }

  #stand(node: QuotaNode): Standing {
    if (node.children.length > 0) return this.#standAbove(node);
    const ask = this.#asks.get(node);
    const shares = surplusShares(this.#tree, node);
    const turn = ask === undefined || this.#kept.has(node) ? 'none' : this.#turnOf(node, ask);
    return { turn, key: this.#key(node, turn, shares), shares, best: undefined };
  }

  /** Who asks only for what nobody is promised is served by shares, and borrows nothing. */
  #turnOf(leaf: QuotaNode, ask: Vector): Turn {
    return ask.some((asked, axis) => asked > 0 && this.#tree.isPromised(axis)) && this.#tree.fitsGuarantee(leaf, ask)
      ? 'guaranteed'
      : 'surplus';
  }

  #standAbove(node: QuotaNode): Standing {
    let best: QuotaNode | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (const child of node.children) {
      const { turn, shares } = this.#standing(child);
      if (turn === 'none') continue;
      least = Math.min(least, dominant(shares, child));
      if (best === undefined || this.#before(child, best)) best = child;
    }
    const sum = new Float64Array(this.#tree.axes.names.length);
    for (const child of node.children) {
      const { turn, shares } = this.#standing(child);
      const own = dominant(shares, child);
      const scale = turn !== 'none' ? (own === 0 ? 0 : least / own) : this.#asksInVain(child) ? 0 : 1;
      for (let axis = 0; axis < sum.length; axis += 1) sum[axis] = (sum[axis] ?? 0) + scale * (shares[axis] ?? 0);
    }
    const turn = best === undefined ? 'none' : this.#standing(best).turn;
    return { turn, key: this.#key(node, turn, sum), shares: sum, best };
  }

  #asksInVain(node: QuotaNode): boolean {
    return node.children.length > 0 ? node.children.some((child) => this.#asksInVain(child)) : this.#kept.has(node);
  }

  #key(node: QuotaNode, turn: Turn, shares: Float64Array): number {
    if (turn !== 'surplus') return turn === 'none' ? Number.POSITIVE_INFINITY : saturation(this.#tree, node);
    const share = dominant(shares, node);
    return share === 0 ? 0 : share / (this.#history?.correction(node) ?? 1);
  }

  #before(a: QuotaNode, b: QuotaNode): boolean {
    const [first, second] = [this.#standing(a), this.#standing(b)];
    if (first.turn !== second.turn) return first.turn === 'guaranteed';
    if (first.turn === 'surplus' && a.orderPriority !== b.orderPriority) return a.orderPriority > b.orderPriority;
    if (first.key !== second.key) return first.key < second.key;
    const [due, other] = [this.#history?.correction(a) ?? 1, this.#history?.correction(b) ?? 1];
    return due === other ? a.name < b.name : due > other;
  }

  #keep(leaf: QuotaNode, keeping: Keeping): void {
    this.#free(leaf);
    this.#kept.set(leaf, keeping);
    if (keeping.kind !== 'limit') return;
    const others = this.#keptBy.get(keeping.node);
    if (others === undefined) this.#keptBy.set(keeping.node, new Set([leaf]));
    else others.add(leaf);
  }

  #free(leaf: QuotaNode): void {
    const keeping = this.#kept.get(leaf);
    this.#kept.delete(leaf);
    if (keeping?.kind === 'limit') this.#keptBy.get(keeping.node)?.delete(leaf);
  }

  #standing(node: QuotaNode): Standing {
    return this.#standings.get(node) ?? this.#stand(node);
  }
}
