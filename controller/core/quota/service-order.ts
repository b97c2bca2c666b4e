import type { Vector } from './amounts.ts';
import type { QuotaNode, QuotaTree } from './quota-tree.ts';
import { dominant, saturation, surplusShares } from './shares.ts';

type Turn = 'guaranteed' | 'surplus' | 'none';

interface Standing {
  readonly turn: Turn;
  /** Lower is served first, among nodes of one turn. */
  readonly key: number;
  /** Beyond the guarantee; of a node above others rescaled, so that one child's use does not stand for all. */
  readonly shares: Float64Array;
  /** A quota keeps back what it or somebody below asks for. */
  readonly asksInVain: boolean;
  readonly best: QuotaNode | undefined;
  /** Of a leaf, what it held then. */
  readonly used: Vector | undefined;
}

/**
 * Which leaf is served next. First whoever is within its guarantee, the least saturated first; then what is left over
 * by weighted dominant shares in the tree (DRF as in Ghodsi et al., NSDI 2011; in a tree as in Bhattacharya et al., SoCC
 * 2013: the shares of children that may still be served are scaled to the least served of them, and children that ask
 * in vain are left out, so that neither starves beside a sibling who needs other resources).
 *
 * A change at one leaf costs its path, and on it a look at the siblings; not the leaves, nor what waits in them. An offer
 * that changes nothing about whose turn it is costs the leaf only.
 */
export class ServiceOrder {
  readonly #tree: QuotaTree;
  readonly #standings = new Map<QuotaNode, Standing>();
  readonly #asks: Map<QuotaNode, Vector>;
  /** Leaves that a limit keeps back, with the node whose it is. */
  readonly #kept = new Map<QuotaNode, string>();
  readonly #keptBy = new Map<string, Set<QuotaNode>>();

  /** `asks` as by `offer`, of many leaves at the cost of one look at the tree. */
  constructor(tree: QuotaTree, asks: Iterable<readonly [QuotaNode, Vector]> = []) {
    this.#tree = tree;
    this.#asks = new Map(asks);
    for (const node of [...tree.nodes()].reverse()) this.#standings.set(node, this.#stand(node));
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
      let node = this.#tree.root;
      for (let below = this.#standing(node).best; below !== undefined; below = this.#standing(node).best) node = below;
      const ask = this.#asks.get(node);
      const { turn } = this.#standing(node);
      if (ask === undefined || turn === 'none') return undefined;
      // Others may have used up the guarantee above it since it was looked at.
      if (turn === this.#turnOf(node, ask)) return { leaf: node, ask };
      this.#rekey(node);
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

  #rekey(leaf: QuotaNode): void {
    const before = this.#standings.get(leaf);
    const now = this.#stand(leaf);
    this.#standings.set(leaf, now);
    if (before !== undefined && isSame(before, now)) return;
    for (let node = leaf.parent; node !== undefined; node = node.parent) this.#standings.set(node, this.#stand(node));
  }

  #stand(node: QuotaNode): Standing {
    if (node.children.length > 0) return this.#standAbove(node);
    const ask = this.#asks.get(node);
    const shares = surplusShares(this.#tree, node);
    const asksInVain = this.#kept.has(node);
    const turn = ask === undefined || asksInVain ? 'none' : this.#turnOf(node, ask);
    return { turn, key: this.#key(node, turn, shares), shares, asksInVain, best: undefined, used: node.used.slice() };
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
    let inVain = false;
    for (const child of node.children) {
      const { turn, shares, asksInVain } = this.#standing(child);
      inVain ||= asksInVain;
      const own = dominant(shares, child);
      const scale = turn !== 'none' ? (own === 0 ? 0 : least / own) : asksInVain ? 0 : 1;
      for (let axis = 0; axis < sum.length; axis += 1) sum[axis] = (sum[axis] ?? 0) + scale * (shares[axis] ?? 0);
    }
    const turn = best === undefined ? 'none' : this.#standing(best).turn;
    return { turn, key: this.#key(node, turn, sum), shares: sum, asksInVain: inVain, best, used: undefined };
  }

  #key(node: QuotaNode, turn: Turn, shares: Float64Array): number {
    if (turn !== 'surplus') return turn === 'none' ? Number.POSITIVE_INFINITY : saturation(this.#tree, node);
    return dominant(shares, node);
  }

  #before(a: QuotaNode, b: QuotaNode): boolean {
    const [first, second] = [this.#standing(a), this.#standing(b)];
    if (first.turn !== second.turn) return first.turn === 'guaranteed';
    if (first.turn === 'surplus' && a.orderPriority !== b.orderPriority) return a.orderPriority > b.orderPriority;
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

/** Of a leaf: everything above it follows from these. */
function isSame(a: Standing, b: Standing): boolean {
  return a.turn === b.turn && a.asksInVain === b.asksInVain && (a.used?.every((amount, axis) => amount === b.used?.[axis]) ?? false);
}
