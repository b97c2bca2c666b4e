// Finding places: the start for one more slice, and a whole layout for a list of profiles.
import { findProfile, type MigGrid } from './grid.ts';
import { isLegal } from './layout.ts';
import type { Profile, ProfileName } from './profile.ts';
import { formatSlice, type WantedSlice } from './slice.ts';

/** The starts at which one more slice of `profile` would be legal beside `kept`, ascending. */
export function freeStarts(grid: MigGrid, kept: readonly WantedSlice[], profile: Profile): readonly number[] {
  return profile.starts.filter((start) => isLegal(grid, [...kept, { profile: profile.name, start }]));
}

/**
 * How much a set of slices leaves to others: over all profiles, the starts still open, weighted by the
 * compute slices each would bring. Larger is better; used to break ties between starts.
 */
export function openness(grid: MigGrid, kept: readonly WantedSlice[]): number {
  let sum = 0;
  for (const profile of grid.profiles) sum += freeStarts(grid, kept, profile).length * profile.computeSlices;
  return sum;
}

/**
 * The start that leaves most to others, or `undefined` when none is free. Ties go to the highest start:
 * the largest profiles prefer the low half, which `4g` can only use from 0.
 */
export function bestStart(grid: MigGrid, kept: readonly WantedSlice[], profile: Profile): number | undefined {
  let best: { start: number; score: number } | undefined;
  for (const start of freeStarts(grid, kept, profile)) {
    const score = openness(grid, [...kept, { profile: profile.name, start }]);
    if (best === undefined || score >= best.score) best = { start, score };
  }
  return best?.start;
}

/**
 * Places for all of `wanted` beside `kept`, or `undefined` when there is no legal layout with all of them.
 * Exhaustive (a device has at most eight slices), largest profile first, so the answer is the same for any
 * order of `wanted`. The answer holds `kept` and the new slices.
 */
export function arrange(grid: MigGrid, kept: readonly WantedSlice[], wanted: readonly ProfileName[]): readonly WantedSlice[] | undefined {
  const profiles: Profile[] = [];
  for (const name of wanted) {
    const profile = findProfile(grid, name);
    if (profile === undefined) return undefined;
    profiles.push(profile);
  }
  profiles.sort((a, b) => b.size - a.size || b.computeSlices - a.computeSlices || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const dead = new Set<string>();

  function place(placed: readonly WantedSlice[], index: number): readonly WantedSlice[] | undefined {
    const profile = profiles[index];
    if (profile === undefined) return placed;
    const state = `${index}:${placed.map(formatSlice).toSorted().join(',')}`;
    if (dead.has(state)) return undefined;
    for (const start of freeStarts(grid, placed, profile)) {
      const found = place([...placed, { profile: profile.name, start }], index + 1);
      if (found !== undefined) return found;
    }
    dead.add(state);
    return undefined;
  }

  return isLegal(grid, kept) ? place(kept, 0) : undefined;
}
