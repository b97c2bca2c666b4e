import { BestScore } from './best-score.ts';
import { type CutStep, cutOutcome, type UncutStates } from './cut-outcomes.ts';
import type { AskClass } from './demand.ts';
import type { GpuStates } from './gpu-state.ts';
import { outcomes, type PlacementPolicy } from './policy.ts';
import { keyOf, ScoreHeap } from './score-heap.ts';
import { nobody, Seating } from './seating.ts';
import type { Shape } from './shape.ts';

/** What is known of one class of asks. */
interface ClassView {
  readonly ask: AskClass;
  /** Every shape that some node has and the ask fits, and stale entries. */
  readonly heap: ScoreHeap;
  /** Up to where the log of shapes was read; `undefined`: the heap is to be made anew. */
  read: number | undefined;
  /** Best score by shape, or one of the two below. */
  scores: Int32Array;
  /** The latest find. */
  usedAt: number;
}

const unjudged = -(2 ** 31);
const doesNotFit = unjudged + 1;

interface Outcome {
  readonly score: number;
  readonly after: Shape;
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

/** More classes than this are not remembered: the ones not asked for longest are dropped. */
const viewsMax = 1024;

/**
 * Finds the best node for an ask without looking at each. Nodes are grouped by shape, scores are kept by shape and
 * class, and a class looks only at the shapes that came to be since it was asked for last. The cost of a decision
 * follows the number of changes, not of nodes.
 */
export class PlacementIndex {
  #policy: PlacementPolicy;
  #bestScore: BestScore;
  readonly #seating = new Seating();
  readonly #cutting: Cutting | undefined;
  #views = new Map<AskClass, ClassView>();
  #version: number | undefined;
  #finds = 0;

  /** @param nodes in the fixed order: among equals the first is taken. */
  constructor(nodes: readonly Shape[], policy: PlacementPolicy, cutting?: Cutting) {
    this.#policy = policy;
    this.#bestScore = new BestScore(policy);
    this.#cutting = cutting;
    this.#version = policy.version;
    for (const [node, shape] of nodes.entries()) this.#seating.seat(node, shape);
  }

  shapeOf(node: number): Shape {
    return this.#seating.shapeOf(node);
  }

  /** All scores are given anew, by this policy. */
  usePolicy(policy: PlacementPolicy): void {
    this.#policy = policy;
    this.#bestScore = new BestScore(policy);
    this.forget();
  }

  /** Drops all that was judged, and the classes with it; what the nodes have free stays. */
  forget(): void {
    this.#version = this.#policy.version;
    this.#views = new Map();
    this.#seating.forgetWorth();
  }

  /** The node that takes the ask, which it then holds; `undefined` where it fits nowhere. */
  place(ask: AskClass): Placement | undefined {
    const found = this.find(ask);
    if (found !== undefined) this.#seating.seat(found.node, found.after);
    return found;
  }

  /** The best node for the ask, which stays as it is. */
  find(ask: AskClass): Placement | undefined {
    const view = this.#viewOf(ask);
    const { heap } = view;
    while (!heap.isEmpty) {
      const { shape } = heap;
      const key = this.#keyOf(view, shape);
      if (key === heap.key) return this.#placement(view, shape, this.#seating.firstOf(shape));
      heap.pop();
      if (key !== undefined) heap.push(key, shape);
    }
    return undefined;
  }

  /** The same among the nodes that `accept` names. Looks at every shape, so it is for asks that are rare. */
  findWhere(ask: AskClass, accept: (node: number) => boolean): Placement | undefined {
    const view = this.#viewOf(ask);
    let best: { readonly key: number; readonly shape: number; readonly node: number } | undefined;
    for (const shape of new Set(view.heap.shapes)) {
      // With its first node, and so no less than with the one that is accepted.
      const most = this.#keyOf(view, shape);
      if (most === undefined || (best !== undefined && most <= best.key)) continue;
      const node = this.#seating.membersOf(shape).find(accept);
      const key = node === undefined ? undefined : keyOf(view.scores[shape] ?? 0, node);
      if (node !== undefined && key !== undefined && (best === undefined || key > best.key)) best = { key, shape, node };
    }
    return best === undefined ? undefined : this.#placement(view, best.shape, best.node);
  }

  /** Gives a node the shape it has from now on: something ended there, or it was looked at anew. */
  reshape(node: number, shape: Shape): void {
    this.#seating.seat(node, shape);
  }

  #placement({ ask }: ClassView, shape: number, node: number): Placement | undefined {
    const before = this.#seating.at(shape);
    const outcome = this.#judge(before, ask);
    return outcome === undefined ? undefined : { node, before, ...outcome };
  }

  #scoreOf(before: Shape, ask: AskClass): number | undefined {
    return isCut(ask) ? this.#judge(before, ask)?.score : this.#bestScore.of(before, ask);
  }

  #judge(before: Shape, ask: AskClass): Outcome | undefined {
    if (isCut(ask)) return this.#cutting === undefined ? undefined : cutOutcome(before, ask, this.#cutting.states, this.#cutting.uncut);
    let best: Outcome | undefined;
    for (const after of outcomes(before, ask, this.#policy)) {
      const score = this.#policy.score(before, after, ask);
      if (best === undefined || score > best.score) best = { score, after, steps: noSteps };
    }
    return best;
  }

  /** What is known of a class, up to date. */
  #viewOf(ask: AskClass): ClassView {
    if (this.#policy.version !== this.#version) this.forget();
    if (this.#seating.isCrowded) this.#compact();
    const view = this.#views.get(ask) ?? this.#newView(ask);
    this.#finds += 1;
    view.usedAt = this.#finds;
    const { log, liveCount, count } = this.#seating;
    if (view.scores.length < count) view.scores = grown(view.scores, count);
    if (view.read !== undefined && log.length - view.read <= 2 * count && view.heap.size <= 4 * liveCount + 1024) {
      for (let at = view.read; at < log.length; at += 1) this.#offer(view, log[at] ?? 0);
    } else {
      view.heap.clear();
      for (let shape = 0; shape < count; shape += 1) this.#offer(view, shape);
    }
    view.read = log.length;
    return view;
  }

  #newView(ask: AskClass): ClassView {
    if (this.#views.size >= viewsMax) {
      const byUse = [...this.#views.values()].sort((a, b) => a.usedAt - b.usedAt);
      for (const old of byUse.slice(0, viewsMax / 4)) this.#views.delete(old.ask);
    }
    const view: ClassView = { ask, heap: new ScoreHeap(), read: undefined, scores: new Int32Array(0), usedAt: 0 };
    this.#views.set(ask, view);
    return view;
  }

  #offer(view: ClassView, shape: number): void {
    const first = this.#seating.firstOf(shape);
    if (first === nobody) return;
    const { ask, scores, heap } = view;
    let score = scores[shape] ?? unjudged;
    if (score === unjudged) {
      score = this.#seating.mayFit(shape, ask) ? (this.#scoreOf(this.#seating.at(shape), ask) ?? doesNotFit) : doesNotFit;
      scores[shape] = score;
    }
    if (score > doesNotFit) heap.push(keyOf(score, first), shape);
  }

  /** `undefined` for a shape that no node has, or that the ask does not fit. */
  #keyOf(view: ClassView, shape: number): number | undefined {
    const first = this.#seating.firstOf(shape);
    const score = view.scores[shape] ?? unjudged;
    return first === nobody || score <= doesNotFit ? undefined : keyOf(score, first);
  }

  /** Drops the shapes that no node has any more, and what was known of them. */
  #compact(): void {
    const kept = this.#seating.compact();
    for (const view of this.#views.values()) {
      const { scores } = view;
      view.scores = new Int32Array(kept.length).fill(unjudged);
      kept.forEach((old, shape) => {
        view.scores[shape] = scores[old] ?? unjudged;
      });
      view.heap.clear();
      view.read = undefined;
    }
  }
}

function isCut({ slices, timeSliced }: AskClass): boolean {
  return slices !== undefined || timeSliced === true;
}

function grown(scores: Int32Array, count: number): Int32Array {
  const larger = new Int32Array(count + (count >> 1) + 64).fill(unjudged);
  larger.set(scores);
  return larger;
}
