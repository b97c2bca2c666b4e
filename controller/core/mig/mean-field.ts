// A potential learned from a mix: what a set of windows is worth to one GPU that is paid, for each slice it takes, what
// the cheapest of the others would have asked. Prices and worth settle together.
import { type Arrivals, churn } from './churn.ts';
import type { Potential } from './potential.ts';
import { tableOfPotential } from './set-table.ts';
import type { WindowSets } from './window-sets.ts';

export interface MeanFieldSetting {
  readonly gpus: number;
  /** Arrivals of a kind, in a mean lifetime, by kind. */
  readonly rates: readonly number[];
  readonly start: Potential;
  /** How much of what was found replaces what was held; by iteration, 0 to 1. */
  readonly step: (iteration: number) => number;
  /** A slice of so many units that fits nowhere would have been worth that to this power. */
  readonly power: number;
  /** Of what comes a mean lifetime later; keeps the sums finite. */
  readonly discount: number;
  /** Most passes over all sets in one iteration. */
  readonly passesMax: number;
}

export const meanFieldDefaults: Pick<MeanFieldSetting, 'step' | 'power' | 'discount' | 'passesMax'> = {
  step: (iteration) => Math.max(0.05, 0.3 / (1 + 0.1 * iteration)),
  power: 1.2,
  discount: 0.2,
  passesMax: 60,
};

/** Without end yields the potential after each iteration, and `undefined` after each piece of one: a simulation, a pass over the sets. */
export function* meanField(sets: WindowSets, setting: MeanFieldSetting, draw: () => Arrivals): Generator<Potential | undefined, never> {
  let worth = setting.start.map((value) => value - (setting.start[0] ?? 0));
  for (let iteration = 0; ; iteration += 1) {
    const arrivals = draw();
    const paid = new Float64Array(arrivals.kinds.length);
    churn(tableOfPotential(sets, worth), arrivals, { gpus: setting.gpus, warmUp: 0 }, paid);
    // The first third is the filling of an empty cluster.
    const offers = sets.kinds.map((kind, at) => offersOf(paid, arrivals.kinds, at, kind.size ** setting.power));
    yield;
    const found = yield* settle(sets, offers, setting, worth);
    const step = setting.step(iteration);
    worth = worth.map((value, set) => value + step * ((found[set] ?? 0) - value));
    yield worth;
  }
}

/** What was paid for one kind, ascending, with running sums; and how often it fitted nowhere. */
interface Offers {
  readonly prices: Float64Array;
  readonly sums: Float64Array;
  readonly blocked: number;
  readonly total: number;
  readonly blockedPrice: number;
}

function offersOf(paid: Float64Array, kinds: Uint8Array, kind: number, blockedPrice: number): Offers {
  const own: number[] = [];
  let blocked = 0;
  for (let at = Math.floor(paid.length / 3); at < paid.length; at += 1) {
    if (kinds[at] !== kind) continue;
    const price = paid[at] ?? 0;
    if (price === Number.POSITIVE_INFINITY) blocked += 1;
    else own.push(price);
  }
  const prices = Float64Array.from(own).sort();
  const sums = new Float64Array(prices.length + 1);
  for (let at = 0; at < prices.length; at += 1) sums[at + 1] = (sums[at] ?? 0) + (prices[at] ?? 0);
  return { prices, sums, blocked, total: Math.max(1, prices.length + blocked), blockedPrice };
}

/** Potentials are of the order of units; prices that differ by less place alike. */
const settled = 1e-3;

/** The worth of each set at these offers: passes of policy and value together until little changes. */
function* settle(sets: WindowSets, offers: readonly Offers[], setting: MeanFieldSetting, from: Potential): Generator<undefined, Potential> {
  const { count, windows, kinds, plus, minus, held } = sets;
  const width = windows.length;
  const worth = from.slice();
  for (let pass = 0; pass < setting.passesMax; pass += 1) {
    let changed = 0;
    for (let set = 0; set < count; set += 1) {
      let rate = (held[set] ?? 0) + setting.discount;
      let sum = 0;
      for (let kind = 0; kind < kinds.length; kind += 1) {
        const offer = offers[kind];
        let best = Number.NEGATIVE_INFINITY;
        for (const window of kinds[kind]?.windows ?? []) {
          const after = plus[set * width + window] ?? -1;
          if (after >= 0) best = Math.max(best, worth[after] ?? 0);
        }
        if (offer === undefined || best === Number.NEGATIVE_INFINITY) continue;
        const first = firstAbove(offer.prices, (worth[set] ?? 0) - best);
        const taken = offer.prices.length - first + offer.blocked;
        const paid = (offer.sums[offer.prices.length] ?? 0) - (offer.sums[first] ?? 0) + offer.blocked * offer.blockedPrice;
        const arrivals = (setting.rates[kind] ?? 0) / offer.total;
        rate += arrivals * taken;
        sum += arrivals * (paid + taken * best);
      }
      for (let at = set * width; at < (set + 1) * width; at += 1) {
        const left = minus[at] ?? -1;
        if (left >= 0) sum += worth[left] ?? 0;
      }
      const change = sum / rate - (worth[set] ?? 0);
      changed = Math.max(changed, Math.abs(change));
      worth[set] = (worth[set] ?? 0) + change;
    }
    if (changed < settled) break;
    yield;
  }
  return worth;
}

/** Where the prices above `value` begin. */
function firstAbove(prices: Float64Array, value: number): number {
  let low = 0;
  for (let high = prices.length; low < high; ) {
    const middle = (low + high) >> 1;
    if ((prices[middle] ?? 0) <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}
