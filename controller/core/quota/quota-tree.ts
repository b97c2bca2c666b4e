import { invariant } from '@astrago/shared/domain/invariant';
import { type Amounts, Axes, entriesOf, type ResourceName, totalOf, type Vector } from './amounts.ts';
import { findFaults, type QuotaFault, type QuotaSpec } from './quota-spec.ts';

/** One node of the tree. Vectors run over the axes of the tree; the accounts change, the rest by `setQuota` only. */
export interface QuotaNode {
  readonly name: string;
  readonly parent: QuotaNode | undefined;
  readonly children: readonly QuotaNode[];
  /** 0 for the organisation. */
  readonly depth: number;
  /** Infinity on axes of which nobody is promised a part. */
  readonly guaranteed: Vector;
  readonly limit: Vector;
  readonly weight: Vector;
  readonly orderPriority: number;
  /** All that runs below. */
  readonly used: Vector;
  /** The part of it that is kept by a guarantee and not taken back. */
  readonly nonBorrowed: Vector;
}

export type Admission =
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
      /** Taking back what is lent would let it in: every guarantee on the way up has room for it. */
      readonly withinGuarantee: boolean;
    };

interface MutableNode extends QuotaNode {
  readonly parent: MutableNode | undefined;
  readonly children: MutableNode[];
  guaranteed: Vector;
  limit: Vector;
  promise: Amounts;
}

/**
 * The quotas of an organisation and what is used of them. Everything is counted at the leaf and at every node above it.
 *
 * An axis is *promised* when any quota names it in its guarantee: then a quota that does not name it is promised none of
 * it. On other axes no guarantee is checked, and nothing is lent or borrowed. A total is promised the sum of its classes
 * unless named. Of an axis that a quota above others does not name, it is promised what they are together.
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
    invariant(
      findFaults(name, specs).every(({ kind }) => kind === 'guaranteed-above-limit'),
      'quotas make a tree',
    );
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
  admit(leaf: QuotaNode, ask: Vector): Admission {
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
          withinGuarantee: within,
        };
      }
    return { kind: within ? 'within-guarantee' : 'borrowing' };
  }

  /** Whether every guarantee from the leaf up has room for the ask. */
  fitsGuarantee(leaf: QuotaNode, ask: Vector): boolean {
    for (let node: QuotaNode | undefined = leaf; node !== undefined; node = node.parent)
      for (let axis = 0; axis < ask.length; axis += 1) {
        const asked = ask[axis] ?? 0;
        if (asked > 0 && (node.nonBorrowed[axis] ?? 0) + asked > (node.guaranteed[axis] ?? 0)) return false;
      }
    return true;
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
    for (let node: QuotaNode | undefined = leaf; node !== undefined; node = node.parent) add(node.nonBorrowed, amount, sign);
  }

  /**
   * Sets what a node is promised and limited to; for the organisation both are its capacity. What runs is not labelled
   * anew: that is the account's. Names without an axis are left out: a new resource needs a new tree. Returns the inverse.
   */
  setQuota(name: string, quota: Pick<QuotaSpec, 'guaranteed' | 'limit'>): () => void {
    const node = this.#require(name);
    const { promise, limit } = node;
    const before = [...this.#nodes.values()].map((each) => [each, each.guaranteed] as const);
    const promised = this.#promised;
    node.promise = quota.guaranteed;
    node.limit = this.axes.bounds(quota.limit);
    this.#promise();
    return () => {
      node.promise = promise;
      node.limit = limit;
      this.#promised = promised;
      for (const [each, guaranteed] of before) each.guaranteed = guaranteed;
    };
  }

  /** Where the promises below a node come to more than its own. */
  overcommitments(): readonly QuotaFault[] {
    return [...this.#nodes.values()].flatMap((node) =>
      this.axes.names.flatMap((resource, axis): readonly QuotaFault[] => {
        const guaranteed = (node.guaranteed[axis] ?? 0) / 1000;
        const promised = node.children.reduce((sum, child) => sum + (child.guaranteed[axis] ?? 0), 0) / 1000;
        return promised <= guaranteed || promised === Number.POSITIVE_INFINITY
          ? []
          : [{ kind: 'overcommitted', name: node.name, resource, guaranteed, promised }];
      }),
    );
  }

  #count(leaf: QuotaNode, amount: Vector, sign: 1 | -1, borrowed: boolean): void {
    for (let node: QuotaNode | undefined = leaf; node !== undefined; node = node.parent) {
      add(node.used, amount, sign);
      if (!borrowed) add(node.nonBorrowed, amount, sign);
    }
  }

  #node(spec: QuotaSpec, parent: MutableNode | undefined): MutableNode {
    const zeros = (): Vector => new Float64Array(this.axes.names.length);
    const weightOf = (resource: ResourceName): number =>
      (totalOf(resource) === undefined ? undefined : spec.classWeights?.[resource.slice(resource.indexOf('/') + 1)]) ?? spec.weight ?? 1;
    const node: MutableNode = {
      name: spec.name,
      parent,
      children: [],
      depth: parent === undefined ? 0 : parent.depth + 1,
      promise: spec.guaranteed,
      guaranteed: zeros(),
      limit: this.axes.bounds(spec.limit),
      weight: Float64Array.from(this.axes.names, weightOf),
      orderPriority: spec.orderPriority ?? 0,
      used: zeros(),
      nonBorrowed: zeros(),
    };
    this.#nodes.set(spec.name, node);
    return node;
  }

  /** Works out every guarantee from what was named. */
  #promise(): void {
    const below = [...this.#nodes.values()].filter((node) => node !== this.#root);
    const promised = new Set(
      below.flatMap(({ promise }) => entriesOf(promise).flatMap(([resource]) => [resource, totalOf(resource) ?? resource])),
    );
    this.#promised = this.axes.names.map((resource) => promised.has(resource));
    for (const node of below.reverse()) {
      const named = this.axes.sums(node.promise);
      const own = new Set(entriesOf(node.promise).flatMap(([resource]) => [resource, totalOf(resource) ?? resource]));
      node.guaranteed = named.map((amount, axis) =>
        !this.isPromised(axis)
          ? Number.POSITIVE_INFINITY
          : isLeaf(node) || own.has(this.axes.names[axis] ?? 'compute')
            ? amount
            : node.children.reduce((sum, child) => sum + (child.guaranteed[axis] ?? 0), 0),
      );
    }
    // What the organisation has of an axis is its bound; without a figure there is none.
    this.#root.guaranteed = this.#root.limit;
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
