// For each kind of slice and each set of windows: what placing it there costs, and where it goes.
import type { Potential } from './potential.ts';
import type { WindowSets } from './window-sets.ts';

export interface SetTable {
  readonly sets: WindowSets;
  /** At `kind * sets.count + set`; infinite where the kind does not fit. */
  readonly cost: Float64Array;
  /** The window it takes, or -1. */
  readonly window: Int16Array;
}

/** Costs nearer to each other than this are equal: what is left of them is how the sum was taken. */
const grain = 1e9;

/**
 * @param costOf of going from one set of windows to another; the window of least cost is taken, the first in order among equals.
 * @param order of the starts of a kind: the driver's own, or by number.
 */
export function tableBy(
  sets: WindowSets,
  costOf: (before: number, after: number) => number,
  order: 'driver' | 'ascending' = 'driver',
): SetTable {
  const { count, kinds, windows, plus } = sets;
  const cost = new Float64Array(kinds.length * count).fill(Number.POSITIVE_INFINITY);
  const window = new Int16Array(kinds.length * count).fill(-1);
  for (const [kind, own] of kinds.entries()) {
    const ordered = order === 'driver' ? own.windows : own.windows.toSorted((a, b) => (windows[a]?.start ?? 0) - (windows[b]?.start ?? 0));
    for (let set = 0; set < count; set += 1) {
      const entry = kind * count + set;
      for (const at of ordered) {
        const after = plus[set * windows.length + at] ?? -1;
        if (after < 0) continue;
        const price = Math.round(costOf(set, after) * grain) / grain;
        if (price >= (cost[entry] ?? 0)) continue;
        cost[entry] = price;
        window[entry] = at;
      }
    }
  }
  return { sets, cost, window };
}

export function tableOfPotential(sets: WindowSets, potential: Potential): SetTable {
  return tableBy(sets, (before, after) => (potential[before] ?? 0) - (potential[after] ?? 0));
}

/** The fewest free units first, then the least loss of potential. */
export function tightestFirst(sets: WindowSets, potential: Potential): SetTable {
  return tableBy(sets, (before, after) => (sets.free[before] ?? 0) + small * ((potential[before] ?? 0) - (potential[after] ?? 0)));
}

/** The least loss of potential first, then the fewest free units. */
export function tightestAmongEqual(sets: WindowSets, potential: Potential): SetTable {
  return tableBy(sets, (before, after) => (potential[before] ?? 0) - (potential[after] ?? 0) + small * (sets.free[before] ?? 0));
}

/** Makes a second criterion decide only where the first does not. */
const small = 1e-6;
