// The geometry of a grid: which windows of the placement axis can be in use together. Profiles that may start at the
// same places with the same length are one kind here, so a device that lists a dozen variants has few sets.
import type { MigGrid } from '@astrago/shared/domain/mig/grid';
import type { Profile } from '@astrago/shared/domain/mig/profile';

export interface Window {
  readonly start: number;
  /** In placement units, as `start`. */
  readonly size: number;
  /** Compute slices; 0 on a grid whose windows cannot exceed its compute anyway. */
  readonly compute: number;
}

/** Profiles that the geometry cannot tell apart. */
export interface Kind {
  readonly size: number;
  /** Numbers of its windows, in the order in which the driver fills them. */
  readonly windows: readonly number[];
}

export interface WindowSets {
  readonly units: number;
  readonly windows: readonly Window[];
  readonly kinds: readonly Kind[];
  /** Kind of each profile of the grid, in the grid's order. */
  readonly kindOf: readonly number[];
  /** Sets are 0 to `count` - 1, ordered by how many windows they hold; 0 is the empty one. */
  readonly count: number;
  /** At `set * windows.length + window`: the set with that window more, or -1 where it is not free. */
  readonly plus: Int32Array;
  /** The set with that window less, or -1 where it is not held. */
  readonly minus: Int32Array;
  /** Placement units in no window, by set. */
  readonly free: Uint8Array;
  /** Windows held, by set. */
  readonly held: Uint8Array;
}

/** `undefined` where there are more than `countMax` sets, or more windows than a set of bits has room for. */
export function windowSetsOf(grid: MigGrid, countMax: number): WindowSets | undefined {
  const bounded = mostTogether(grid, (profile) => profile.computeSlices) > grid.computeSlices;
  const windows: Window[] = [];
  const kinds: Kind[] = [];
  const numbers = new Map<string, number>();
  const kindOf = grid.profiles.map((profile) => {
    const compute = bounded ? profile.computeSlices : 0;
    const name = `${profile.size}/${compute}/${profile.starts.join()}`;
    const known = numbers.get(name);
    if (known !== undefined) return known;
    const own = driverOrder(grid, profile).map((start) => {
      const at = windows.findIndex((window) => window.start === start && window.size === profile.size && window.compute === compute);
      return at >= 0 ? at : windows.push({ start, size: profile.size, compute }) - 1;
    });
    numbers.set(name, kinds.length);
    return kinds.push({ size: profile.size, windows: own }) - 1;
  });
  // A set is a number with a bit for each window: exact up to 2 ** 53.
  if (windows.length > 53 || grid.placementUnits > 31) return undefined;
  return enumerate(grid, windows, kinds, kindOf, countMax);
}

function enumerate(
  grid: MigGrid,
  windows: readonly Window[],
  kinds: readonly Kind[],
  kindOf: readonly number[],
  countMax: number,
): WindowSets | undefined {
  const sets: { readonly bits: number; readonly units: number; readonly compute: number; readonly held: number }[] = [];
  const ids = new Map<number, number>([[0, 0]]);
  sets.push({ bits: 0, units: 0, compute: 0, held: 0 });
  const plus: number[] = [];
  for (let id = 0; id < sets.length; id += 1) {
    // Breadth first, so by number of windows.
    const set = sets[id];
    if (set === undefined) break;
    for (const [at, window] of windows.entries()) {
      const span = spanBits(window);
      const compute = set.compute + window.compute;
      if ((set.units & span) !== 0 || (window.compute > 0 && compute > grid.computeSlices)) {
        plus.push(-1);
        continue;
      }
      const bits = set.bits + 2 ** at;
      let next = ids.get(bits);
      if (next === undefined) {
        next = sets.push({ bits, units: set.units | span, compute, held: set.held + 1 }) - 1;
        if (next >= countMax) return undefined;
        ids.set(bits, next);
      }
      plus.push(next);
    }
  }
  const minus = new Int32Array(plus.length).fill(-1);
  for (const [at, next] of plus.entries())
    if (next >= 0) minus[next * windows.length + (at % windows.length)] = Math.floor(at / windows.length);
  return {
    units: grid.placementUnits,
    windows,
    kinds,
    kindOf,
    count: sets.length,
    plus: Int32Array.from(plus),
    minus,
    free: Uint8Array.from(sets, ({ units }) => grid.placementUnits - bitCount(units)),
    held: Uint8Array.from(sets, ({ held }) => held),
  };
}

/**
 * The starts of a profile as the driver takes them when it is told none: those first that spoil the fewest places of
 * profiles as large or larger. Gives 6, 4, 5, 0, 1, 2, 3 for the smallest slice of an H100, as was recorded.
 */
function driverOrder(grid: MigGrid, profile: Profile): readonly number[] {
  const spoilt = (start: number): number =>
    grid.profiles.reduce((sum, other) => {
      if (other.size < profile.size || (other.size === profile.size && other.starts.join() === profile.starts.join())) return sum;
      return sum + other.starts.filter((at) => at < start + profile.size && start < at + other.size).length;
    }, 0);
  return profile.starts.toSorted((a, b) => spoilt(a) - spoilt(b) || a - b);
}

/** The most that non-overlapping slices can take together of what `takes` counts. */
export function mostTogether(grid: MigGrid, takes: (profile: Profile) => number): number {
  const best = new Array<number>(grid.placementUnits + 1).fill(0);
  for (let end = 1; end <= grid.placementUnits; end += 1) {
    let most = best[end - 1] ?? 0;
    for (const profile of grid.profiles)
      if (profile.starts.includes(end - profile.size)) most = Math.max(most, (best[end - profile.size] ?? 0) + takes(profile));
    best[end] = most;
  }
  return best[grid.placementUnits] ?? 0;
}

/** The units of a window, one bit each. */
export function spanBits(window: { readonly start: number; readonly size: number }): number {
  return ((1 << window.size) - 1) << window.start;
}

function bitCount(bits: number): number {
  let count = 0;
  for (let rest = bits; rest !== 0; rest &= rest - 1) count += 1;
  return count;
}
