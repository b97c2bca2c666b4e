import type { AskClass } from './demand.ts';
import { outcomes, type PlacementPolicy } from './policy.ts';
import { keyOf, ScoreHeap } from './score-heap.ts';
import { type Shape, ShapeTable } from './shape.ts';

/** What is known of one class of asks. */
interface ClassView {
  readonly ask: AskClass;
  readonly heap: ScoreHeap;
  /** Up to where the log of shapes was read. */
  read: number;
  /** By shape: the best score and the shape it leads to; `undefined` where the ask does not fit. */
  readonly judged: Map<number, Judgement | undefined>;
}

interface Judgement {
  readonly score: number;
  readonly after: number;
}

export interface Placement {
  /** Rank of the node in the fixed order. */
  readonly node: number;
  readonly before: Shape;
  readonly after: Shape;
}

/** How many dead shapes are remembered for each one alive before the memory is made anew. */
const deadPerLive = 8;
const deadMin = 50_000;
const logMax = 2 ** 21;

/**
 * Finds the best node for an ask without looking at each. Nodes are grouped by shape, scores are kept by shape and
 * class, and a class looks only at the shapes that came to be since it was asked for last. The cost of a decision
 * follows the number of changes, not of nodes.
 */
export class PlacementIndex {
  readonly #policy: PlacementPolicy;
  #table = new ShapeTable();
  /** Nodes by shape, lowest rank first. */
  #members: (number[] | undefined)[] = [];
  /** Shapes that came to be, or whose first node is another one now. */
  #log: number[] = [];
  #views = new Map<AskClass, ClassView>();
  /** Shape of each node. */
  readonly #shapeOf: number[] = [];
  #version: number | undefined;

  /** @param nodes in the fixed order: among equals the first is taken. */
  constructor(nodes: readonly Shape[], policy: PlacementPolicy) {
    this.#policy = policy;
    this.#version = policy.version;
    for (const [node, shape] of nodes.entries()) this.#seat(node, shape);
  }

  shapeOf(node: number): Shape {
    return this.#table.at(this.#shapeOf[node] ?? 0);
  }

  /** The node that takes the ask, which it then holds; `undefined` where it fits nowhere. */
  place(ask: AskClass): Placement | undefined {
    const found = this.#best(ask);
    if (found === undefined) return undefined;
    const node = this.#firstOf(found.shape) ?? 0;
    this.#leave(node);
    this.#enter(node, found.after);
    return { node, before: this.#table.at(found.shape), after: this.#table.at(found.after) };
  }

  /** Gives a node the shape it has from now on: something ended there, or it was looked at anew. */
  reshape(node: number, shape: Shape): void {
    this.#leave(node);
    this.#seat(node, shape);
  }

  #best(ask: AskClass): { readonly shape: number; readonly after: number } | undefined {
    if (this.#policy.version !== this.#version || this.#isCrowded()) this.#forget();
    const view = this.#viewOf(ask);
    for (; view.read < this.#log.length; view.read += 1) this.#offer(view, this.#log[view.read] ?? 0);
    const { heap } = view;
    while (!heap.isEmpty) {
      const { shape } = heap;
      const key = this.#keyOf(view, shape);
      if (key === heap.key) return { shape, after: view.judged.get(shape)?.after ?? 0 };
      heap.pop();
      if (key !== undefined) heap.push(key, shape);
    }
    return undefined;
  }

  #offer(view: ClassView, shape: number): void {
    if (this.#firstOf(shape) === undefined) return;
    if (!view.judged.has(shape)) view.judged.set(shape, this.#judge(shape, view.ask));
    const key = this.#keyOf(view, shape);
    if (key !== undefined) view.heap.push(key, shape);
  }

  /** `undefined` for a shape that no node has, or that the ask does not fit. */
  #keyOf(view: ClassView, shape: number): number | undefined {
    const first = this.#firstOf(shape);
    const judgement = view.judged.get(shape);
    return first === undefined || judgement === undefined ? undefined : keyOf(judgement.score, first);
  }

  #judge(shape: number, ask: AskClass): Judgement | undefined {
    const before = this.#table.at(shape);
    let best: Judgement | undefined;
    for (const outcome of outcomes(before, ask, this.#policy)) {
      // Under its number, so that what is found out about it once is known.
      const after = this.#table.idOf(outcome);
      const score = this.#policy.score(before, this.#table.at(after), ask);
      if (best === undefined || score > best.score) best = { score, after };
    }
    return best;
  }

  #viewOf(ask: AskClass): ClassView {
    const known = this.#views.get(ask);
    if (known !== undefined) return known;
    const view: ClassView = { ask, heap: new ScoreHeap(), read: 0, judged: new Map() };
    this.#views.set(ask, view);
    return view;
  }

  #firstOf(shape: number): number | undefined {
    return this.#members[shape]?.[0];
  }

  #seat(node: number, shape: Shape): void {
    this.#enter(node, this.#table.idOf(shape));
  }

  #enter(node: number, shape: number): void {
    const members = this.#members[shape] ?? [];
    this.#members[shape] = members;
    let low = 0;
    for (let high = members.length; low < high; ) {
      const middle = (low + high) >> 1;
      if ((members[middle] ?? 0) < node) low = middle + 1;
      else high = middle;
    }
    members.splice(low, 0, node);
    if (low === 0) this.#log.push(shape);
    this.#shapeOf[node] = shape;
  }

  #leave(node: number): void {
    const members = this.#members[this.#shapeOf[node] ?? 0] as number[];
    // Mostly the first: that is who takes.
    members.splice(members.indexOf(node), 1);
  }

  #isCrowded(): boolean {
    const known = this.#table.shapes.length;
    const dead = known > deadMin && known > deadPerLive * this.#shapeOf.length;
    return dead || this.#log.length > logMax;
  }

  /** All that was judged is dropped; what the nodes hold stays. */
  #forget(): void {
    this.#version = this.#policy.version;
    // What a policy found out is asked for anew.
    const shapes = this.#shapeOf.map((id) => ({ ...this.#table.at(id), worth: Number.NaN }));
    this.#table = new ShapeTable();
    this.#members = [];
    this.#log = [];
    this.#views = new Map();
    for (const [node, shape] of shapes.entries()) this.#seat(node, shape);
  }
}
