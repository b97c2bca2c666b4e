// A cluster of equal GPUs where slices are asked for, and what fits nowhere is lost: the model by which tables are judged.
import { EndQueue } from './end-queue.ts';
import type { SetTable } from './set-table.ts';
import type { WindowSets } from './window-sets.ts';

/** Drawn before anything is decided, so that all tables see the same. */
export interface Arrivals {
  /** Kind that each asks for. */
  readonly kinds: Uint8Array;
  /** When it comes, in mean lifetimes. */
  readonly at: Float64Array;
  /** How long it stays, in mean lifetimes. */
  readonly lifetimes: Float64Array;
}

/**
 * @param load what is asked for over what there is, in placement units.
 * @param weights of the kinds, any positive unit.
 * @param random 0 to 1, 1 excluded.
 */
export function drawArrivals(
  sets: WindowSets,
  setting: {
    readonly count: number;
    readonly gpus: number;
    readonly load: number;
    readonly weights: readonly number[];
    readonly lifetime?: () => number;
  },
  random: () => number,
): Arrivals {
  const { count, weights } = setting;
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const size = sets.kinds.reduce((sum, kind, at) => sum + (kind.size * (weights[at] ?? 0)) / total, 0);
  const rate = (setting.load * setting.gpus * sets.units) / size;
  const exponential = (): number => -Math.log(1 - random());
  const lifetime = setting.lifetime ?? exponential;
  const arrivals: Arrivals = { kinds: new Uint8Array(count), at: new Float64Array(count), lifetimes: new Float64Array(count) };
  let now = 0;
  for (let at = 0; at < count; at += 1) {
    now += exponential() / rate;
    arrivals.at[at] = now;
    arrivals.lifetimes[at] = lifetime();
    let left = random() * total;
    let kind = 0;
    while (kind < weights.length - 1 && left >= (weights[kind] ?? 0)) {
      left -= weights[kind] ?? 0;
      kind += 1;
    }
    arrivals.kinds[at] = kind;
  }
  return arrivals;
}

/** Shares from 0 to 1, of what came after the warm-up. */
export interface ChurnOutcome {
  /** Of those who asked, how many got. */
  readonly count: number;
  /** Of the units asked for, how many were given. */
  readonly units: number;
  /** Of the units there are, how many were in use, over time. */
  readonly used: number;
}

/** @param paid where given, is filled with what each arrival paid: the cost of its place, infinite where it got none. */
export function churn(
  table: SetTable,
  arrivals: Arrivals,
  setting: { readonly gpus: number; readonly warmUp: number },
  paid?: Float64Array,
): ChurnOutcome {
  const { sets, cost, window } = table;
  const held = new Int32Array(setting.gpus);
  const ends = new EndQueue(setting.gpus * sets.units);
  const width = sets.windows.length;
  const meter = new ChurnMeter(setting.gpus * sets.units);
  for (let at = 0; at < arrivals.kinds.length; at += 1) {
    const now = arrivals.at[at] ?? 0;
    while (ends.next <= now) {
      const end = ends.next;
      const place = ends.take();
      const gpu = Math.floor(place / width);
      const gone = place - gpu * width;
      held[gpu] = sets.minus[(held[gpu] ?? 0) * width + gone] ?? 0;
      meter.uses(end, -(sets.windows[gone]?.size ?? 0));
    }
    if (at === setting.warmUp) meter.start(now);
    const kind = arrivals.kinds[at] ?? 0;
    const size = sets.kinds[kind]?.size ?? 0;
    const offset = kind * sets.count;
    // With so few GPUs looking at each is faster than keeping them in buckets.
    let best = Number.POSITIVE_INFINITY;
    let gpu = -1;
    for (let one = 0; one < held.length; one += 1) {
      const price = cost[offset + (held[one] ?? 0)] ?? 0;
      if (price >= best) continue;
      best = price;
      gpu = one;
    }
    meter.asked(size, gpu >= 0);
    if (paid !== undefined) paid[at] = best;
    if (gpu < 0) continue;
    const before = held[gpu] ?? 0;
    const taken = window[offset + before] ?? 0;
    held[gpu] = sets.plus[before * width + taken] ?? 0;
    ends.add(now + (arrivals.lifetimes[at] ?? 0), gpu * width + taken);
    meter.uses(now, size);
  }
  return meter.outcome(arrivals.at.at(-1) ?? 0);
}

/** Counts what was asked and given, from `start` on. */
export class ChurnMeter {
  readonly #units: number;
  #asked = { count: 0, units: 0 };
  #given = { count: 0, units: 0 };
  #used = 0;
  #area = 0;
  #since = 0;
  #from = 0;

  /** @param units of the whole cluster. */
  constructor(units: number) {
    this.#units = units;
  }

  start(now: number): void {
    this.#asked = { count: 0, units: 0 };
    this.#given = { count: 0, units: 0 };
    this.#area = 0;
    this.#since = now;
    this.#from = now;
  }

  asked(size: number, given: boolean): void {
    this.#asked.count += 1;
    this.#asked.units += size;
    if (!given) return;
    this.#given.count += 1;
    this.#given.units += size;
  }

  /** So many units more, or less, from now on. */
  uses(now: number, units: number): void {
    this.#area += this.#used * (now - this.#since);
    this.#since = now;
    this.#used += units;
  }

  outcome(now: number): ChurnOutcome {
    this.uses(now, 0);
    return {
      count: this.#given.count / Math.max(1, this.#asked.count),
      units: this.#given.units / Math.max(1, this.#asked.units),
      used: this.#area / (this.#units * Math.max(Number.MIN_VALUE, now - this.#from)),
    };
  }
}
