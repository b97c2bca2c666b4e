import type { QuotaNode, QuotaTree } from './quota-tree.ts';

/**
 * What each node has used in the past, older use counting less. Who used less than its weight among its siblings gets
 * more of what is left over: share ∝ max(w + k(w − u), 0), with w and u as parts of the siblings' sums.
 */
export class UsageHistory {
  readonly #tree: QuotaTree;
  readonly #halfLifeMs: number;
  readonly #strength: number;
  readonly #used = new Map<QuotaNode, number>();
  #atMs: number;

  /** `strength` is k: 0 forgets the past, 1 gives half as much for half as much again used. */
  constructor(tree: QuotaTree, facts: { readonly halfLifeMs: number; readonly strength: number; readonly startMs: number }) {
    this.#tree = tree;
    this.#halfLifeMs = facts.halfLifeMs;
    this.#strength = facts.strength;
    this.#atMs = facts.startMs;
  }

  /** Counts what has been held since the last call; to be called before what is held changes. Times do not run backwards. */
  advance(nowMs: number): void {
    const passed = nowMs - this.#atMs;
    if (passed <= 0) return;
    const kept = 0.5 ** (passed / this.#halfLifeMs);
    const gained = ((1 - kept) * this.#halfLifeMs) / Math.LN2;
    for (const node of this.#tree.nodes()) this.#used.set(node, kept * (this.#used.get(node) ?? 0) + gained * this.#share(node));
    this.#atMs = nowMs;
  }

  /** By how much the weight of a node is raised (above 1) or lowered; 0 for who has had more than its due. */
  correction(node: QuotaNode): number {
    const siblings = node.parent?.children ?? [];
    const used = siblings.reduce((sum, each) => sum + (this.#used.get(each) ?? 0), 0);
    if (used === 0) return 1;
    const weight = (node.weight[0] ?? 1) / siblings.reduce((sum, each) => sum + (each.weight[0] ?? 1), 0);
    return Math.max(0, 1 + this.#strength * (1 - (this.#used.get(node) ?? 0) / used / weight));
  }

  /** The dominant part of the capacity times the time it was held, decayed, in milliseconds of all of it. */
  usedBy(node: QuotaNode): number {
    return this.#used.get(node) ?? 0;
  }

  #share(node: QuotaNode): number {
    let largest = 0;
    for (let axis = 0; axis < node.used.length; axis += 1) {
      const capacity = this.#tree.root.limit[axis] ?? 0;
      if (capacity > 0 && capacity < Number.POSITIVE_INFINITY) largest = Math.max(largest, (node.used[axis] ?? 0) / capacity);
    }
    return largest;
  }
}
