// What a policy refuses where work also ends. Pods are drawn from the list independently, arrive as a Poisson stream and
// stay for an exponential time; one that does not fit is dropped. Three mean stays to fill the cluster, three to count.

import { seededRandom } from '@astrago/controller/core/cluster/sample-random';
import type { AskClass } from '@astrago/controller/core/placement/demand';
import type { OpenbNode, OpenbPods } from './openb.ts';
import { emptyShape, placerOf } from './policies.ts';
import { shuffled } from './streams.ts';
import { Tenancies, type Tenancy } from './tenancies.ts';

export interface DeparturesResult {
  readonly seed: number;
  readonly policy: string;
  readonly load: number;
  /** GPUs that were refused, in percent of those that were asked for. */
  readonly refusedPercent: number;
  /** The part of it that was asked for by asks for several. */
  readonly refusedTogetherPercent: number;
  /** GPUs in use, in percent of the cluster. */
  readonly allocatedPercent: number;
  readonly decisions: number;
  readonly decisionsPerSecond: number;
}

const warmUpStays = 3;
const countedStays = 3;

/** @param load GPUs asked for at a time, as a part of those there are. */
export function runDepartures(facts: {
  readonly seed: number;
  readonly policy: string;
  readonly nodes: readonly OpenbNode[];
  readonly pods: OpenbPods;
  readonly load: number;
  readonly learn: boolean;
}): DeparturesResult {
  const { seed, policy, nodes, pods, load, learn } = facts;
  const random = seededRandom(seed);
  const ranked = shuffled(nodes.length, random).map((at) => nodes[at] as OpenbNode);
  const shapes = ranked.map(emptyShape);
  const capacity = 1000 * ranked.reduce((sum, { gpus }) => sum + gpus, 0);
  const each = pods.classOf.reduce((sum, ask) => sum + ask.gpus * ask.milli, 0) / pods.classOf.length;
  if (each === 0) throw new Error('a list without GPU pods puts no load on GPUs');
  // In mean stays.
  const betweenArrivals = each / (load * capacity);
  const startMs = performance.now();
  const placer = placerOf(policy, { ranked, demand: pods.demand, random, learn });
  const tenancies = new Tenancies(shapes);
  const departures = new Departures();
  const counted = { asked: 0, refused: 0, together: 0, allocated: 0, arrivals: 0 };
  let decisions = 0;
  let allocated = 0;
  for (let now = exponential(random, betweenArrivals); now < warmUpStays + countedStays; now += exponential(random, betweenArrivals)) {
    for (let gone = departures.next(now); gone !== undefined; gone = departures.next(now)) {
      allocated -= gone.ask.gpus * gone.ask.milli;
      placer.release(gone.ask, gone.node, (shape) => tenancies.ended(gone, shape));
    }
    const ask = pods.classOf[Math.floor(random() * pods.classOf.length)] as AskClass;
    const stays = exponential(random, 1);
    const milli = ask.gpus * ask.milli;
    const placed = placer.place(ask);
    decisions += 1;
    if (placed !== undefined) {
      allocated += milli;
      departures.add(now + stays, tenancies.begun(ask, placed));
    }
    if (now < warmUpStays) continue;
    counted.arrivals += 1;
    counted.asked += milli;
    counted.allocated += allocated;
    if (placed !== undefined) continue;
    counted.refused += milli;
    if (ask.gpus > 1) counted.together += milli;
  }
  const percent = (part: number, whole: number): number => Number(((100 * part) / whole).toFixed(3));
  return {
    seed,
    policy,
    load,
    refusedPercent: percent(counted.refused, counted.asked),
    refusedTogetherPercent: percent(counted.together, counted.asked),
    allocatedPercent: percent(counted.allocated / counted.arrivals, capacity),
    decisions,
    decisionsPerSecond: Math.round((1000 * decisions) / (performance.now() - startMs)),
  };
}

function exponential(random: () => number, mean: number): number {
  return -mean * Math.log(1 - random());
}

/** Tenancies by when they end, the soonest first: a binary heap. */
class Departures {
  readonly #heap: { readonly at: number; readonly tenancy: Tenancy }[] = [];

  add(at: number, tenancy: Tenancy): void {
    const heap = this.#heap;
    let hole = heap.length;
    heap.push({ at, tenancy });
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || above.at <= at) break;
      heap[hole] = above;
      hole = parent;
    }
    heap[hole] = { at, tenancy };
  }

  /** One that has ended by now, which is then forgotten. */
  next(now: number): Tenancy | undefined {
    const heap = this.#heap;
    const first = heap[0];
    if (first === undefined || first.at > now) return undefined;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first.tenancy;
    let hole = 0;
    for (;;) {
      const left = heap[2 * hole + 1];
      const right = heap[2 * hole + 2];
      const isRight = left !== undefined && right !== undefined && right.at < left.at;
      const child = isRight ? right : left;
      if (child === undefined || child.at >= last.at) break;
      heap[hole] = child;
      hole = 2 * hole + (isRight ? 2 : 1);
    }
    heap[hole] = last;
    return first.tenancy;
  }
}
