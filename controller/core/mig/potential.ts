// What each set of windows in use is worth: a number for what is left. A slice goes where that falls least.
import { spanBits, type WindowSets } from './window-sets.ts';

/** By set of windows; higher is better. Only differences count. */
export type Potential = Float64Array;

/**
 * Minus the free units that no slice of a kind could use, weighted over the kinds (FRAGu with equal weights).
 *
 * @param weights by kind, any positive unit; equal when absent.
 */
export function unusableFree(sets: WindowSets, weights?: readonly number[]): Potential {
  const total = sets.kinds.reduce((sum, _, kind) => sum + (weights?.[kind] ?? 1), 0);
  return Float64Array.from({ length: sets.count }, (_, set) => {
    let unusable = 0;
    for (const [kind, { windows }] of sets.kinds.entries()) {
      let usable = 0;
      for (const at of windows) {
        const window = sets.windows[at];
        if (window !== undefined && isFree(sets, set, at)) usable |= spanBits(window);
      }
      let covered = 0;
      for (let rest = usable; rest !== 0; rest &= rest - 1) covered += 1;
      unusable += ((weights?.[kind] ?? 1) / total) * ((sets.free[set] ?? 0) - covered);
    }
    return -unusable;
  });
}

/** How many starts are open, over all kinds (MCC). */
export function openStarts(sets: WindowSets): Potential {
  return Float64Array.from({ length: sets.count }, (_, set) =>
    sets.kinds.reduce((sum, { windows }) => sum + windows.filter((at) => isFree(sets, set, at)).length, 0),
  );
}

/**
 * What the potential is expected to be after a while in which slices only leave: exponential of mean 1 / `rate`
 * lifetimes. Looks past what is about to go away by itself.
 */
export function smoothedByDepartures(sets: WindowSets, potential: Potential, rate: number): Potential {
  const { count, windows, minus, held } = sets;
  const smoothed = new Float64Array(count);
  // By number of windows, so that what is left is known before.
  for (let set = 0; set < count; set += 1) {
    let sum = rate * (potential[set] ?? 0);
    for (let at = set * windows.length; at < (set + 1) * windows.length; at += 1) {
      const left = minus[at] ?? -1;
      if (left >= 0) sum += smoothed[left] ?? 0;
    }
    smoothed[set] = sum / (rate + (held[set] ?? 0));
  }
  return smoothed;
}

/** `one` plus `times` as much of `other`, after giving `other` the spread of `one`. */
export function blended(one: Potential, other: Potential, times: number): Potential {
  const factor = (times * spread(one)) / (spread(other) || 1);
  return one.map((value, set) => value + factor * (other[set] ?? 0));
}

function spread(potential: Potential): number {
  const mean = potential.reduce((sum, value) => sum + value, 0) / potential.length;
  return Math.sqrt(potential.reduce((sum, value) => sum + (value - mean) ** 2, 0) / potential.length);
}

function isFree(sets: WindowSets, set: number, window: number): boolean {
  return (sets.plus[set * sets.windows.length + window] ?? -1) >= 0;
}
