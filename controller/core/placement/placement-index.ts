import { type CutStep, cutOutcome, type UncutStates } from './cut-outcomes.ts';
import type { AskClass } from './demand.ts';
import type { GpuStates } from './gpu-state.ts';
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
  readonly steps: readonly CutStep[];
}

export interface Placement {
  /** Rank of the node in the fixed order. */
  readonly node: number;
  readonly before: Shape;
  readonly after: Shape;
  /** Only to be compared with that of another ask class of the same cluster. */
  readonly score: number;
  /** The GPUs that are cut or shared in time for it; none for shares by MPS and whole GPUs. */
  readonly steps: readonly CutStep[];
}

/** What is needed where GPUs are cut or shared in time. */
export interface Cutting {
  readonly states: GpuStates;
  readonly uncut: UncutStates;
}

const noSteps: readonly CutStep[] = [];

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

  readonly #cutting: Cutting | undefined;

  /** @param nodes in the fixed order: among equals the first is taken. */
  constructor(nodes: readonly Shape[], policy: PlacementPolicy, cutting?: Cutting) {
    this.#policy = policy;
    this.#cutting = cutting;
    this.#version = policy.version;
    for (const [node, shape] of nodes.entries()) this.#seat(node, shape);
  }

  shapeOf(node: number): Shape {
    return this.#table.at(this.#shapeOf[node] ?? 0);
  }

  /** The node that takes the ask, which it then holds; `undefined` where it fits nowhere. */
  place(ask: AskClass): Placement | undefined {
    const found = this.find(ask);
    if (found === undefined) return undefined;
    this.#leave(found.node);
    this.#enter(found.node, this.#table.idOf(found.after));
    return found;
  }

  /** The best node for the ask, which stays as it is. */
  find(ask: AskClass): Placement | undefined {
    const shape = this.#best(ask);
    if (shape === undefined) return undefined;
    return this.#placement(this.#viewOf(ask), shape, this.#firstOf(shape) ?? 0);
  }

  /** The same among the nodes that `accept` names. Looks at every shape, so it is for asks that are rare. */
  findWhere(ask: AskClass, accept: (node: number) => boolean): Placement | undefined {
    this.#refresh();
    const view = this.#viewOf(ask);
    this.#catchUp(view);
    const keys = [...view.judged.keys()]
      .map((shape) => ({ shape, key: this.#keyOf(view, shape) }))
      .filter((entry): entry is { readonly shape: number; readonly key: number } => entry.key !== undefined)
      .sort((a, b) => b.key - a.key);
    for (const { shape } of keys) {
      const node = this.#members[shape]?.find(accept);
      if (node !== undefined) return this.#placement(view, shape, node);
    }
    return undefined;
  }

  #placement(view: ClassView, shape: number, node: number): Placement | undefined {
    const judgement = view.judged.get(shape);
    if (judgement === undefined) return undefined;
    const { after, score, steps } = judgement;
    return { node, before: this.#table.at(shape), after: this.#table.at(after), score, steps };
  }

  /** Gives a node the shape it has from now on: something ended there, or it was looked at anew. */
  reshape(node: number, shape: Shape): void {
    const id = this.#table.idOf(shape);
    if (id === this.#shapeOf[node]) return;
    this.#leave(node);
    this.#enter(node, id);
  }

  #best(ask: AskClass): number | undefined {
    this.#refresh();
    const view = this.#viewOf(ask);
    this.#catchUp(view);
    const { heap } = view;
    while (!heap.isEmpty) {
      const { shape } = heap;
      const key = this.#keyOf(view, shape);
      if (key === heap.key) return shape;
      heap.pop();
      if (key !== undefined) heap.push(key, shape);
    }
    return undefined;
  }

  #refresh(): void {
    if (this.#policy.version !== this.#version || this.#isCrowded()) this.#forget();
  }

  #catchUp(view: ClassView): void {
    for (; view.read < this.#log.length; view.read += 1) this.#offer(view, this.#log[view.read] ?? 0);
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
    if (ask.slices !== undefined || ask.timeSliced === true) {
      const found = this.#cutting === undefined ? undefined : cutOutcome(before, ask, this.#cutting.states, this.#cutting.uncut);
      return found === undefined ? undefined : { score: found.score, after: this.#table.idOf(found.after), steps: found.steps };
    }
    let best: Judgement | undefined;
    for (const outcome of outcomes(before, ask, this.#policy)) {
      // Under its number, so that what is found out about it once is known.
      const after = this.#table.idOf(outcome);
      const score = this.#policy.score(before, this.#table.at(after), ask);
      if (best === undefined || score > best.score) best = { score, after, steps: noSteps };
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
