import { invariant } from '@astrago/shared/domain/invariant';
import { type Amounts, Axes, entriesOf, type ResourceName, totalOf, type Vector } from './amounts.ts';
import { findFaults, type QuotaFault, type QuotaSpec } from './quota-spec.ts';

/** One node of the tree. Vectors run over the axes of the tree; the accounts change, the rest by `setQuota` only. */
export interface QuotaNode {
  readonly name: string;
  readonly parent: QuotaNode | undefined;
  readonly children: readonly QuotaNode[];
  /** Infinity where it is not named; for the organisation its capacity. */
  readonly guaranteed: Vector;
  /** What of the guarantee nobody below is promised; Infinity where it is not named. */
  readonly rest: Vector;
  /** Its guarantee, or else what those below are promised and its part of the rest above, by weight; for the order of service. */
  readonly entitled: Vector;
  readonly limit: Vector;
  readonly weight: number;
  /** All that runs below. */
  readonly used: Vector;
  /** The part of it that is kept by a guarantee and not taken back. */
  readonly nonBorrowed: Vector;
  /** The part of that for which no guarantee below is named: it is kept by the rest. */
  readonly restUsed: Vector;
}

export type Verdict =
  | { readonly kind: 'within-guarantee' }
  | { readonly kind: 'borrowing' }
  | {
      readonly kind: 'refused';
      /** The node whose limit is in the way: the lowest one. For the organisation the limit is its capacity. */
      readonly node: string;
      readonly resource: ResourceName;
      readonly limit: number;
      readonly used: number;
      readonly asked: number;
      /** `never`: the ask alone is above the limit. */
      readonly when: 'never' | 'now';
      /** Taking back what is lent would let it in: every guarantee on the way up has room for it, and every limit beside what is kept. */
      readonly withinGuarantee: boolean;
    };

interface MutableNode extends QuotaNode {
  readonly parent: MutableNode | undefined;
  readonly children: MutableNode[];
  guaranteed: Vector;
  rest: Vector;
  entitled: Vector;
  limit: Vector;
  restUsed: Vector;
  promise: Amounts;
}

/**
 * The quotas of an organisation and what is used of them. Everything is counted at the leaf and at every node above it.
 *
 * An axis is *promised* when any quota names some of it in its guarantee. On other axes no guarantee is checked, and
 * nothing is lent or borrowed. Where a total is promised, who names only classes of it is promised their sum.
 *
 * Who does not name an axis is not promised nothing: what of a guarantee is named by nobody below, its *rest*, belongs to
 * all of those together that name none. Each axis by itself: a quota may name compute and share the rest of the CPUs.
 */
export class QuotaTree {
  readonly axes: Axes;
  readonly root: QuotaNode;
  readonly #nodes = new Map<string, MutableNode>();
  readonly #root: MutableNode;
  #promised: readonly boolean[] = [];

  /** The specs must be without faults; what they may be is `findFaults`' to say. */
  constructor(facts: { readonly name: string; readonly capacity: Amounts; readonly specs: readonly QuotaSpec[] }) {
    const { name, capacity, specs } = facts;
    invariant(findFaults(name, specs).length === 0, 'quotas make a tree');
    const named = [capacity, ...specs.flatMap((spec) => [spec.guaranteed, spec.limit])].flatMap(entriesOf);
    this.axes = new Axes(named.map(([resource]) => resource));
    this.#root = this.#node({ name, guaranteed: capacity, limit: capacity }, undefined);
    this.root = this.#root;
    const waiting = new Set(specs);
    while (waiting.size > 0)
      for (const spec of waiting) {
        const parent = this.#nodes.get(spec.parent ?? name);
        if (parent === undefined) continue;
        parent.children.push(this.#node(spec, parent));
        waiting.delete(spec);
      }
    this.#promise();
  }

  node(name: string): QuotaNode {
    return this.#require(name);
  }

  find(name: string): QuotaNode | undefined {
    return this.#nodes.get(name);
  }

  /** All nodes, those above before those below. */
  nodes(): Iterable<QuotaNode> {
    return this.#nodes.values();
  }

  leaves(): readonly QuotaNode[] {
    return [...this.#nodes.values()].filter((node) => isLeaf(node));
  }

  vector(amounts: Amounts): Vector {
    return this.axes.sums(amounts);
  }

  /** Whether any quota is promised a part of the axis. */
  isPromised(axis: number): boolean {
    return this.#promised[axis] === true;
  }

  get hasPromises(): boolean {
    return this.#promised.includes(true);
  }

  /** What `leaf` may do with so much more now. Costs the depth of the tree. */
  admit(leaf: QuotaNode, ask: Vector): Verdict {
    const within = this.fitsGuarantee(leaf, ask);
    for (let node: QuotaNode | undefined = leaf; node !== undefined; node = node.parent)
      for (let axis = 0; axis < ask.length; axis += 1) {
        const asked = ask[axis] ?? 0;
        const used = node.used[axis] ?? 0;
        const limit = node.limit[axis] ?? 0;
        if (asked === 0 || used + asked <= limit) continue;
        const resource = this.axes.names[axis];
        invariant(resource !== undefined, 'every axis has a name');
        return {
          kind: 'refused',
          node: node.name,
          resource,
          limit: limit / 1000,
          used: used / 1000,
          asked: asked / 1000,
          when: asked > limit ? 'never' : 'now',
          withinGuarantee: within && isWithinLimits(leaf, ask),
        };
      }
    return { kind: within ? 'within-guarantee' : 'borrowing' };
  }

  /** Whether every guarantee from the leaf up has room for the ask. */
  fitsGuarantee(leaf: QuotaNode, ask: Vector): boolean {
    for (let axis = 0; axis < ask.length; axis += 1) {
      const asked = ask[axis] ?? 0;
      if (asked > 0 && !hasRoom(leaf, axis, asked)) return false;
    }
    return true;
  }

  /** Whether a guarantee that this amount of the leaf counts in is exceeded: then it may not all be kept. */
  exceedsGuarantee(leaf: QuotaNode, amount: Vector): boolean {
    for (let axis = 0; axis < amount.length; axis += 1) if ((amount[axis] ?? 0) > 0 && !hasRoom(leaf, axis, 0)) return true;
    return false;
  }

  /** Whether any guarantee is. */
  get isOverGuarantee(): boolean {
    for (const { nonBorrowed, guaranteed, restUsed, rest } of this.#nodes.values())
      for (let axis = 0; axis < nonBorrowed.length; axis += 1)
        if ((nonBorrowed[axis] ?? 0) > (guaranteed[axis] ?? 0) || (restUsed[axis] ?? 0) > (rest[axis] ?? 0)) return true;
    return false;
  }

  /** Counts it without asking whether it may. Its inverse is `release` with the same words. */
  charge(leaf: QuotaNode, amount: Vector, borrowed: boolean): void {
    this.#count(leaf, amount, 1, borrowed);
  }

  release(leaf: QuotaNode, amount: Vector, borrowed: boolean): void {
    this.#count(leaf, amount, -1, borrowed);
  }

  /** From borrowed to kept, or with `-1` back. */
  relabel(leaf: QuotaNode, amount: Vector, sign: 1 | -1): void {
    addKept(leaf, amount, sign);
  }

  /**
   * Sets what a node is promised and limited to; for the organisation both are its capacity. What runs is not labelled
   * anew: that is the account's. Names without an axis are left out: a new resource needs a new tree. Returns the inverse.
   */
  setQuota(name: string, quota: Pick<QuotaSpec, 'guaranteed' | 'limit'>): () => void {
    const node = this.#require(name);
    const { promise, limit } = node;
    node.promise = quota.guaranteed;
    node.limit = this.axes.bounds(quota.limit);
    this.#promise();
    return () => {
      node.promise = promise;
      node.limit = limit;
      this.#promise();
    };
  }

  /** Where the promises below a node come to more than its own. */
  overcommitments(): readonly QuotaFault[] {
    return [...this.#nodes.values()].flatMap((node) =>
      this.axes.names.flatMap((resource, axis): readonly QuotaFault[] => {
        const guaranteed = (node.guaranteed[axis] ?? 0) / 1000;
        const promised = node.children.reduce((sum, child) => sum + promisedTo(child, axis), 0) / 1000;
        return promised <= guaranteed ? [] : [{ kind: 'overcommitted', name: node.name, resource, guaranteed, promised }];
      }),
    );
  }

  #count(leaf: QuotaNode, amount: Vector, sign: 1 | -1, borrowed: boolean): void {
    for (let node: QuotaNode | undefined = leaf; node !== undefined; node = node.parent) add(node.used, amount, sign);
    if (!borrowed) addKept(leaf, amount, sign);
  }

  #node(spec: QuotaSpec, parent: MutableNode | undefined): MutableNode {
    const zeros = (): Vector => new Float64Array(this.axes.names.length);
    const node: MutableNode = {
      name: spec.name,
      parent,
      children: [],
      promise: spec.guaranteed,
      guaranteed: zeros(),
      rest: zeros(),
      entitled: zeros(),
      limit: this.axes.bounds(spec.limit),
      weight: spec.weight ?? 1,
      used: zeros(),
      nonBorrowed: zeros(),
      restUsed: zeros(),
    };
    this.#nodes.set(spec.name, node);
    return node;
  }

  /** Works out every guarantee from what was named, and what counts in whose rest. */
  #promise(): void {
    const nodes = [...this.#nodes.values()];
    const below = nodes.filter((node) => node !== this.#root);
    const some = below.flatMap(({ promise }) => entriesOf(promise).flatMap(([resource, amount]) => (amount > 0 ? [resource] : [])));
    this.#promised = this.axes.names.map((resource) => some.includes(resource));
    for (const node of below) {
      const named = new Set(entriesOf(node.promise).flatMap(([resource]) => [resource, totalOf(resource) ?? resource]));
      node.guaranteed = this.axes
        .sums(node.promise)
        .map((amount, axis) =>
          this.isPromised(axis) && named.has(this.axes.names[axis] ?? 'compute') ? amount : Number.POSITIVE_INFINITY,
        );
    }
    // What the organisation has of an axis is its bound; without a figure there is none.
    this.#root.guaranteed = this.#root.limit;
    this.#root.entitled = this.#root.limit;
    for (const node of nodes) {
      // More may be promised than there is: a cluster may have become smaller.
      const left = (of: Vector, axis: number): number =>
        Math.max(0, (of[axis] ?? 0) - node.children.reduce((sum, child) => sum + promisedTo(child, axis), 0));
      node.rest = node.guaranteed.map((_, axis) => left(node.guaranteed, axis));
      const shared = node.entitled.map((_, axis) => left(node.entitled, axis));
      const weights = shared.map((_, axis) => node.children.reduce((sum, child) => sum + (isNamed(child, axis) ? 0 : child.weight), 0));
      for (const child of node.children)
        child.entitled = child.guaranteed.map((amount, axis) =>
          isNamed(child, axis) ? amount : promisedTo(child, axis) + ((shared[axis] ?? 0) * child.weight) / (weights[axis] ?? 1),
        );
    }
    for (const node of nodes.reverse())
      node.restUsed = node.nonBorrowed.map((amount, axis) =>
        node.children.reduce(
          (sum, child) => sum - (child.nonBorrowed[axis] ?? 0) + (isNamed(child, axis) ? 0 : (child.restUsed[axis] ?? 0)),
          amount,
        ),
      );
  }

  #require(name: string): MutableNode {
    const node = this.#nodes.get(name);
    invariant(node !== undefined, `there is a quota ${name}`);
    return node;
  }
}

export function isLeaf(node: QuotaNode): boolean {
  return node.children.length === 0;
}

function add(sum: Vector, amount: Vector, sign: 1 | -1): void {
  for (let axis = 0; axis < sum.length; axis += 1) sum[axis] = (sum[axis] ?? 0) + sign * (amount[axis] ?? 0);
}

function isNamed({ guaranteed }: QuotaNode, axis: number): boolean {
  return guaranteed[axis] !== Number.POSITIVE_INFINITY;
}

/** What must be left for a node and those below it. */
function promisedTo(node: QuotaNode, axis: number): number {
  return isNamed(node, axis) ? (node.guaranteed[axis] ?? 0) : node.children.reduce((sum, child) => sum + promisedTo(child, axis), 0);
}

/** Whether so much more of the leaf could be kept, by every guarantee on the way up and the lowest one's rest. */
function hasRoom(leaf: QuotaNode, axis: number, asked: number): boolean {
  let isRest = true;
  for (let node: QuotaNode | undefined = leaf; node !== undefined; node = node.parent) {
    if ((node.nonBorrowed[axis] ?? 0) + asked > (node.guaranteed[axis] ?? 0)) return false;
    if (isRest && (node.restUsed[axis] ?? 0) + asked > (node.rest[axis] ?? 0)) return false;
    if (isNamed(node, axis)) isRest = false;
  }
  return true;
}

function addKept(leaf: QuotaNode, amount: Vector, sign: 1 | -1): void {
  for (let axis = 0; axis < amount.length; axis += 1) {
    const change = sign * (amount[axis] ?? 0);
    if (change === 0) continue;
    let isRest = true;
    for (let node: QuotaNode | undefined = leaf; node !== undefined; node = node.parent) {
      node.nonBorrowed[axis] = (node.nonBorrowed[axis] ?? 0) + change;
      if (!isRest) continue;
      node.restUsed[axis] = (node.restUsed[axis] ?? 0) + change;
      if (isNamed(node, axis)) isRest = false;
    }
  }
}

/** Whether the limits on the way up have room beside what is not lent: a rest may be larger than the limit of who shares it. */
function isWithinLimits(leaf: QuotaNode, ask: Vector): boolean {
  for (let node: QuotaNode | undefined = leaf; node !== undefined; node = node.parent) {
    const { nonBorrowed, limit } = node;
    if (ask.some((asked, axis) => asked > 0 && (nonBorrowed[axis] ?? 0) + asked > (limit[axis] ?? 0))) return false;
  }
  return true;
}
