// Which running work would have to be gone for a waiting workload, or a whole gang, to have room: found node by node from
// what is held, without trying it on the cluster.

import { NodeUse } from '../cluster/node-use.ts';
import type { AllocationRecord, WorkloadRecord } from '../cluster/records.ts';
import { modelFits } from '../scheduling/gpu-view.ts';
import { type NodeView, nodeViews, viewNode } from './node-view.ts';
import { smallestSet } from './smallest-set.ts';
import { placesOn, type Trial } from './trial.ts';

export interface Costs {
  /** Of letting one go; infinite where that is not to be thought of. */
  of(allocation: AllocationRecord): number;
  /** Of letting all of a set go, from the costs of each. */
  together(costs: readonly number[]): number;
}

/** What gives a node one more place. */
interface Offer {
  readonly view: NodeView;
  /** Places of the node that were taken already. */
  readonly places: number;
  readonly gone: readonly AllocationRecord[];
  /** Of all that is gone; a lower bound while the offer is not worked out. */
  readonly cost: number;
  readonly workedOut: boolean;
}

/** So many nodes are looked into; the cheapest come first, so the others hardly matter. */
const lookedIntoMax = 48;

/** Places beyond its own that are freed for those before it in the queue, at most. */
const placesForOthersMax = 128;

/** The cheapest allocations without which it fits; `undefined` where none are found. */
export function cheapestToFree(
  trial: Trial,
  given: Costs,
  fitsWithout: (gone: readonly AllocationRecord[]) => boolean,
): readonly AllocationRecord[] | undefined {
  const { least, before } = trial;
  const freeing = new Freeing(trial, remembering(given));
  const othersMax = Math.min(before, placesForOthersMax);
  for (let others = 0; ; others = Math.min(othersMax, Math.max(1, others * 2))) {
    const gone = freeing.upTo(least + others);
    if (gone === undefined) return undefined;
    // Places for others were counted as if they asked for the same.
    if (gone.length > 0 && fitsWithout(gone)) return others === 0 ? gone : smallestSet(gone, fitsWithout);
    if (others === othersMax) return undefined;
  }
}

/** Frees one place after the other, the cheapest first. */
class Freeing {
  readonly #trial: Trial;
  readonly #costs: Costs;
  readonly #offers: Offer[] = [];
  readonly #gone: AllocationRecord[] = [];
  #places = 0;
  #lookedInto = 0;

  constructor(trial: Trial, costs: Costs) {
    this.#trial = trial;
    this.#costs = costs;
    for (const view of nodeViews(trial.cluster)) {
      const places = placesOn(view, trial.workload);
      this.#places += places;
      const cost = lowerBound(trial, view, costs);
      if (Number.isFinite(cost)) this.#offers.push({ view, places, gone: [], cost, workedOut: false });
    }
  }

  /** Those without which there are so many places; `undefined` where there never are, or not within the search. */
  upTo(least: number): readonly AllocationRecord[] | undefined {
    const offers = this.#offers;
    while (this.#places < least) {
      const best = offers.reduce<Offer | undefined>((low, one) => (low === undefined || one.cost < low.cost ? one : low), undefined);
      if (best === undefined) return undefined;
      offers.splice(offers.indexOf(best), 1);
      if (best.workedOut) {
        this.#gone.push(...best.gone);
        this.#places += 1;
        offers.push({ ...best, places: best.places + 1, workedOut: false });
        continue;
      }
      this.#lookedInto += 1;
      if (this.#lookedInto > lookedIntoMax + least) continue;
      const offer = workOut(this.#trial, best, this.#gone, this.#costs);
      if (offer !== undefined) offers.push(offer);
    }
    return [...this.#gone];
  }
}

/** Each is asked for once. */
function remembering({ of, together }: Costs): Costs {
  const known = new Map<AllocationRecord, number>();
  return {
    of: (allocation) => {
      let cost = known.get(allocation);
      if (cost === undefined) {
        cost = of(allocation);
        known.set(allocation, cost);
      }
      return cost;
    },
    together,
  };
}

/** No set on the node costs less. */
function lowerBound({ cluster, workload: { ask, model } }: Trial, view: NodeView, costs: Costs): number {
  if (view.closed !== undefined) return Number.POSITIVE_INFINITY;
  const held = cluster.allocationsOnNode(view.node.name);
  const each = held.map((allocation) => costs.of(allocation)).sort((a, b) => a - b);
  const [cheapest = Number.POSITIVE_INFINITY] = each;
  if (ask.kind === 'none') return cheapest;
  const sizes = view.groups.filter((group) => modelFits(group.model, model)).map(({ views }) => views.length);
  const wanted = ask.kind === 'whole' ? ask.count : 1;
  if (Math.max(0, ...sizes) < wanted) return Number.POSITIVE_INFINITY;
  if (wanted === 1) return cheapest;
  // The fewest that could hold so many GPUs, at the lowest costs there are.
  const sum = sizes.reduce((all, size) => all + size, 0);
  const devices = held.map((allocation) => allocation.devices.length).sort((a, b) => b - a);
  const free = sum - devices.reduce((all, count) => all + count, 0);
  let few = 0;
  for (let have = Math.max(0, free); have < wanted && few < devices.length; few += 1) have += devices[few] ?? 0;
  return costs.together(each.slice(0, Math.max(1, few)));
}

function workOut(trial: Trial, offer: Offer, goneBefore: readonly AllocationRecord[], costs: Costs): Offer | undefined {
  const { cluster, workload } = trial;
  const { view, places } = offer;
  const here = cluster.allocationsOnNode(view.node.name).filter((one) => !goneBefore.includes(one) && Number.isFinite(costs.of(one)));
  const before = goneBefore.filter(({ node }) => node === view.node.name);
  const isEnough = (some: readonly AllocationRecord[]): boolean => {
    const gone = new Set([...before, ...some]);
    const left = cluster.allocationsOnNode(view.node.name).filter((one) => !gone.has(one));
    return placesWith(trial, view, left, workload) > places;
  };
  const byCost = [...here].sort((a, b) => costs.of(a) - costs.of(b) || b.units.memory - a.units.memory || (a.id < b.id ? -1 : 1));
  const bySize = [...here].sort((a, b) => b.units.memory - a.units.memory || costs.of(a) - costs.of(b) || (a.id < b.id ? -1 : 1));
  let best: { readonly set: readonly AllocationRecord[]; readonly cost: number } | undefined;
  for (const order of [byCost, bySize]) {
    const set = smallestSet(order, isEnough);
    if (set === undefined) continue;
    const cost = costs.together(set.map((one) => costs.of(one)));
    if (best === undefined || cost < best.cost) best = { set, cost };
  }
  return best === undefined ? undefined : { ...offer, gone: best.set, cost: best.cost, workedOut: true };
}

function placesWith({ cluster }: Trial, view: NodeView, left: readonly AllocationRecord[], workload: WorkloadRecord): number {
  const use = new NodeUse();
  for (const allocation of left) use.add(allocation);
  return placesOn(viewNode(cluster, view.node, use), workload);
}
