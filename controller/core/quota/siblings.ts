import type { Vector } from './amounts.ts';
import type { QuotaNode } from './quota-tree.ts';
import { dominant } from './shares.ts';

/** Where a node stands in the order of service. */
export interface Standing {
  readonly turn: 'guaranteed' | 'surplus' | 'none';
  /** Lower is served first, among nodes of one turn. */
  readonly key: number;
  /** Beyond what it is entitled to; of a node above others rescaled, so that one child's use does not stand for all. */
  readonly shares: Float64Array;
  /** A quota keeps back what it or somebody below asks for. */
  readonly asksInVain: boolean;
}

interface Cell {
  first: QuotaNode | undefined;
  /** The least dominant share of those who may be served. */
  least: number;
  /** Sums over those who may be served, each of its shares by the dominant one. */
  readonly served: Vector;
  /** Sums of the shares of those who ask for nothing. */
  readonly others: Vector;
  asksInVain: boolean;
}

/** What a node must know of its children, summed up in a binary tree: a change of one child costs the logarithm of their number. */
export class Siblings {
  readonly #cells: readonly Cell[];
  readonly #indexOf: ReadonlyMap<QuotaNode, number>;
  readonly #isBefore: (a: QuotaNode, b: QuotaNode) => boolean;

  constructor(
    children: readonly QuotaNode[],
    standingOf: (child: QuotaNode) => Standing,
    isBefore: (a: QuotaNode, b: QuotaNode) => boolean,
  ) {
    const axes = children[0]?.used.length ?? 0;
    const empty = (): Cell => ({
      first: undefined,
      least: Number.POSITIVE_INFINITY,
      served: new Float64Array(axes),
      others: new Float64Array(axes),
      asksInVain: false,
    });
    // The cell at 1 is of all; that at n sums up those at 2n and 2n + 1; the children have the last ones.
    this.#cells = Array.from({ length: 2 * children.length }, empty);
    this.#indexOf = new Map(children.map((child, at) => [child, children.length + at]));
    this.#isBefore = isBefore;
    for (const child of children) this.#fill(child, standingOf(child));
    for (let at = children.length - 1; at >= 1; at -= 1) this.#sumUp(at);
  }

  /** To be called whenever a child stands differently. */
  set(child: QuotaNode, standing: Standing): void {
    for (let at = this.#fill(child, standing) >> 1; at >= 1; at >>= 1) this.#sumUp(at);
  }

  /** Absent when none of them may be served. */
  get first(): QuotaNode | undefined {
    return this.#cells[1]?.first;
  }

  get asksInVain(): boolean {
    return this.#cells[1]?.asksInVain === true;
  }

  /** The shares of all of them: of those who may be served scaled to the least of these, and without those who ask in vain. */
  shares(): Float64Array {
    const all = this.#cells[1];
    if (all === undefined) return new Float64Array(0);
    const { served, others, least } = all;
    return others.map((share, axis) => share + (least === Number.POSITIVE_INFINITY ? 0 : least * (served[axis] ?? 0)));
  }

  #fill(child: QuotaNode, { turn, shares, asksInVain }: Standing): number {
    const at = this.#indexOf.get(child) ?? 0;
    const cell = this.#cells[at];
    if (cell === undefined) return 0;
    const own = dominant(shares, child);
    const isServed = turn !== 'none';
    cell.first = isServed ? child : undefined;
    cell.least = isServed ? own : Number.POSITIVE_INFINITY;
    cell.asksInVain = asksInVain;
    for (const [axis, share] of shares.entries()) {
      cell.served[axis] = isServed && own > 0 ? share / own : 0;
      cell.others[axis] = isServed || asksInVain ? 0 : share;
    }
    return at;
  }

  #sumUp(at: number): void {
    const [cell, left, right] = [this.#cells[at], this.#cells[2 * at], this.#cells[2 * at + 1]];
    if (cell === undefined || left === undefined || right === undefined) return;
    const isLeft = right.first === undefined || (left.first !== undefined && this.#isBefore(left.first, right.first));
    cell.first = isLeft ? left.first : right.first;
    cell.least = Math.min(left.least, right.least);
    cell.asksInVain = left.asksInVain || right.asksInVain;
    for (let axis = 0; axis < cell.served.length; axis += 1) {
      cell.served[axis] = (left.served[axis] ?? 0) + (right.served[axis] ?? 0);
      cell.others[axis] = (left.others[axis] ?? 0) + (right.others[axis] ?? 0);
    }
  }
}
