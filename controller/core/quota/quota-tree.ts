import type { WorkspaceName } from '@astrago/shared/domain/ids';
import type { WorkspaceRecord } from '../cluster/records.ts';
import { amountsIn, type Charge, type Dimension, dimensionsOf } from './charge.ts';

export type Verdict =
  /** Its own: nobody can ask it back. */
  | { readonly kind: 'guaranteed' }
  /** Beyond its guarantee, from what is idle. */
  | { readonly kind: 'borrowing' }
  | {
      readonly kind: 'above-limit';
      /** Whose limit: the workspace's, or that of one above it. */
      readonly workspace: WorkspaceName;
      readonly dimension: Dimension;
      readonly limit: number;
      readonly used: number;
      readonly asked: number;
    };

interface Node {
  /** Absent: the organisation, which is above all. */
  readonly name: WorkspaceName | undefined;
  readonly parent: Node | undefined;
  readonly children: Node[];
  readonly limit: readonly (number | undefined)[];
  readonly guaranteed: readonly (number | undefined)[];
  readonly weight: number;
  /** Of it and all below it. */
  readonly used: number[];
  /** The part of it that is not borrowed. */
  readonly own: number[];
  /** The part of that which comes from below without a guarantee there, or is its own work. */
  readonly rest: number[];
}

/**
 * The account of workspaces. What is under a guarantee is counted apart from what is borrowed, on every level: as long as
 * no `own` is above its guarantee, stopping what is borrowed always makes room for whatever is within one.
 *
 * What no workspace below a node is guaranteed belongs to all of those below it that have no guarantee.
 */
export class QuotaTree {
  readonly dimensions: readonly Dimension[];
  /** Without any guarantee nobody can ask anything back, and nothing counts as borrowed. */
  readonly hasGuarantees: boolean;
  readonly #root: Node;
  readonly #nodes = new Map<WorkspaceName, Node>();

  /** @param capacity of the whole cluster, by dimension. */
  constructor(workspaces: ReadonlyMap<WorkspaceName, WorkspaceRecord>, capacityOf: (dimension: Dimension) => number) {
    this.dimensions = dimensionsOf(workspaces.values());
    const zero = (): number[] => this.dimensions.map(() => 0);
    const none = this.dimensions.map(() => undefined);
    const account = { children: [] as Node[], used: zero(), own: zero(), rest: zero() };
    this.#root = { name: undefined, parent: undefined, limit: none, guaranteed: this.dimensions.map(capacityOf), weight: 1, ...account };
    const add = (record: WorkspaceRecord): Node => {
      const known = this.#nodes.get(record.name);
      if (known !== undefined) return known;
      const above = record.parent === undefined ? undefined : workspaces.get(record.parent);
      const parent = above === undefined ? this.#root : add(above);
      const node: Node = {
        name: record.name,
        parent,
        children: [],
        limit: amountsIn(this.dimensions, record.limit),
        guaranteed: amountsIn(this.dimensions, record.guaranteed),
        weight: record.weight ?? 1,
        used: zero(),
        own: zero(),
        rest: zero(),
      };
      parent.children.push(node);
      this.#nodes.set(record.name, node);
      return node;
    };
    for (const record of [...workspaces.values()].sort((a, b) => (a.name < b.name ? -1 : 1))) add(record);
    this.hasGuarantees = [...this.#nodes.values()].some(({ guaranteed }) => guaranteed.some((amount) => (amount ?? 0) > 0));
  }

  /**
   * What taking so much more would be. A workspace that is not known has no limit and no guarantee.
   *
   * @param by `guarantee`: limits are not looked at, for what has been taken already.
   */
  judge(workspace: WorkspaceName, charge: Charge, by: 'all' | 'guarantee' = 'all'): Verdict {
    const node = this.#nodes.get(workspace);
    if (by === 'all')
      for (let at = node; at?.parent !== undefined; at = at.parent) {
        const above = this.#aboveLimit(at, charge);
        if (above !== undefined) return above;
      }
    return !this.hasGuarantees || this.#isOwn(node, charge) ? { kind: 'guaranteed' } : { kind: 'borrowing' };
  }

  /** Whether more counts as not borrowed than is guaranteed, to a workspace or one above it; to any where none is named. */
  isOverGuarantee(workspace?: WorkspaceName): boolean {
    if (!this.hasGuarantees) return false;
    const leaves = workspace === undefined ? [...this.#nodes.values()] : [this.#nodes.get(workspace)];
    const nothing = this.dimensions.map(() => 0);
    return leaves.some((leaf) => !this.#isOwn(leaf, nothing));
  }

  /** Counts it, or takes it back with `sign` -1. */
  count(workspace: WorkspaceName, charge: Charge, isBorrowed: boolean, sign: 1 | -1): void {
    const leaf = this.#nodes.get(workspace);
    for (let at: Node | undefined = leaf ?? this.#root; at !== undefined; at = at.parent) addTo(at.used, charge, sign);
    if (isBorrowed) return;
    this.#onPath(leaf, (node, dimension, isRest) => {
      const amount = sign * (charge[dimension] ?? 0);
      node.own[dimension] = (node.own[dimension] ?? 0) + amount;
      if (isRest) node.rest[dimension] = (node.rest[dimension] ?? 0) + amount;
    });
  }

  /** What a workspace has beyond its guarantee, against its weight: 0 or more. */
  surplusOf(workspace: WorkspaceName): number {
    const node = this.#nodes.get(workspace);
    return node === undefined ? 0 : this.#turnOf(node).surplus;
  }

  used(workspace: WorkspaceName): Charge {
    return this.#nodes.get(workspace)?.used ?? this.dimensions.map(() => 0);
  }

  /** Names from the workspace up to below the organisation. */
  path(workspace: WorkspaceName): readonly WorkspaceName[] {
    const names: WorkspaceName[] = [];
    for (let at = this.#nodes.get(workspace); at?.name !== undefined; at = at.parent) names.push(at.name);
    return names;
  }

  /**
   * Whose turn it is among the workspaces that `isWaiting` names, or have such below them: those below their guarantee
   * before the others, the least satisfied first; then who has least of what is left over, for its weight.
   */
  next(isWaiting: (workspace: WorkspaceName) => boolean): WorkspaceName | undefined {
    const waiting = new Set<Node>();
    for (const [name, node] of this.#nodes)
      if (isWaiting(name)) for (let at: Node | undefined = node; at !== undefined && !waiting.has(at); at = at.parent) waiting.add(at);
    let at: Node = this.#root;
    if (!waiting.has(at)) return undefined;
    for (;;) {
      const candidates = at.children.filter((child) => waiting.has(child));
      const own = at.name !== undefined && isWaiting(at.name);
      let best: { readonly node: Node; readonly turn: Turn } | undefined;
      for (const node of candidates) {
        const turn = this.#turnOf(node);
        if (best === undefined || isBefore(turn, best.turn)) best = { node, turn };
      }
      // Work of a workspace that has others below it comes after theirs as long as they are below their guarantees.
      if (own && (best === undefined || best.turn.isSatisfied)) return at.name;
      if (best === undefined) return undefined;
      at = best.node;
      if (candidates.length > 0 && at.children.length === 0) return at.name;
    }
  }

  #turnOf({ used, guaranteed, weight }: Node): Turn {
    let satisfied = 0;
    let surplus = 0;
    let isGuaranteed = false;
    for (let dimension = 0; dimension < used.length; dimension += 1) {
      const amount = used[dimension] ?? 0;
      const own = guaranteed[dimension] ?? 0;
      const capacity = this.#root.guaranteed[dimension] ?? 0;
      if (own > 0) {
        isGuaranteed = true;
        satisfied = Math.max(satisfied, amount / own);
      }
      if (capacity > 0) surplus = Math.max(surplus, Math.max(0, amount - own) / capacity);
    }
    return { isSatisfied: !isGuaranteed || satisfied >= 1, satisfied, surplus: weight > 0 ? surplus / weight : Number.POSITIVE_INFINITY };
  }

  #aboveLimit(node: Node, charge: Charge): Verdict | undefined {
    for (const [at, dimension] of this.dimensions.entries()) {
      const limit = node.limit[at];
      const used = node.used[at] ?? 0;
      const asked = charge[at] ?? 0;
      if (limit !== undefined && asked > 0 && used + asked > limit && node.name !== undefined)
        return { kind: 'above-limit', workspace: node.name, dimension, limit, used, asked };
    }
    return undefined;
  }

  #isOwn(leaf: Node | undefined, charge: Charge): boolean {
    let fits = true;
    this.#onPath(leaf, (node, dimension, isRest) => {
      const asked = charge[dimension] ?? 0;
      const guaranteed = node.guaranteed[dimension];
      if (guaranteed === undefined) return;
      if ((node.own[dimension] ?? 0) + asked > guaranteed) fits = false;
      if (!isRest) return;
      // A cluster may have become smaller than what was promised.
      const promised = node.children.reduce((sum, child) => sum + (child.guaranteed[dimension] ?? 0), 0);
      if ((node.rest[dimension] ?? 0) + asked > Math.max(0, guaranteed - promised)) fits = false;
    });
    return fits;
  }

  /** Every node and dimension that counts what is not borrowed; `isRest` where nothing below it is guaranteed that. */
  #onPath(leaf: Node | undefined, visit: (node: Node, dimension: number, isRest: boolean) => void): void {
    for (let dimension = 0; dimension < this.dimensions.length; dimension += 1) {
      let isRest = true;
      for (let at: Node | undefined = leaf ?? this.#root; at !== undefined; at = at.parent) {
        visit(at, dimension, isRest);
        // Above a guarantee it is counted under that one.
        if (at.guaranteed[dimension] !== undefined) isRest = false;
      }
    }
  }
}

interface Turn {
  /** It has what it is guaranteed. */
  readonly isSatisfied: boolean;
  readonly satisfied: number;
  readonly surplus: number;
}

function isBefore(a: Turn, b: Turn): boolean {
  if (a.isSatisfied !== b.isSatisfied) return !a.isSatisfied;
  return a.isSatisfied ? a.surplus < b.surplus : a.satisfied < b.satisfied;
}

function addTo(sums: number[], charge: Charge, sign: 1 | -1): void {
  for (let at = 0; at < sums.length; at += 1) sums[at] = (sums[at] ?? 0) + sign * (charge[at] ?? 0);
}
