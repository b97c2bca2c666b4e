import { freeStarts } from '@astrago/shared/domain/mig/arrange';
import type { MigGrid } from '@astrago/shared/domain/mig/grid';
import { inOrder } from '@astrago/shared/domain/mig/layout';
import { formatSlice, spanOf, type WantedSlice } from '@astrago/shared/domain/mig/slice';

/**
 * How often slices are looked ahead at leaving, per mean life of a slice: the worth of a layout is what it is expected
 * to be worth a tenth of a life later, because a hole next to a slice that is about to end is no hole for long.
 */
const foresight = 10;

interface Known {
  readonly lost: Map<string, number>;
  readonly worth: Map<string, number>;
}

// The few layouts that occur come up on every GPU of a model.
const knownByGrid = new WeakMap<MigGrid, Known>();

/**
 * What a GPU with these slices held is worth to the slices to come, in memory slices, 0 or less: nothing is lost on one
 * where every profile could still use all that is free.
 */
export function worthOfLayout(grid: MigGrid, slices: readonly WantedSlice[]): number {
  // In one order, whoever asks first: the last digit of a sum depends on it, and a choice among equals on that.
  const held = inOrder(slices);
  const known = knownByGrid.get(grid) ?? { lost: new Map(), worth: new Map() };
  knownByGrid.set(grid, known);
  const key = held.map(formatSlice).join();
  const before = known.worth.get(key);
  if (before !== undefined) return before;
  let sum = -foresight * lostTo(grid, held, key, known);
  for (const slice of held)
    sum += worthOfLayout(
      grid,
      held.filter((other) => other !== slice),
    );
  const worth = sum / (foresight + held.length);
  known.worth.set(key, worth);
  return worth;
}

/** Free memory slices that a profile could not use, over all profiles that differ in their places. */
function lostTo(grid: MigGrid, held: readonly WantedSlice[], key: string, known: Known): number {
  const before = known.lost.get(key);
  if (before !== undefined) return before;
  const free = new Array<boolean>(grid.placementUnits).fill(true);
  for (const slice of held) {
    const span = spanOf(grid, slice);
    if (span !== undefined) free.fill(false, span.start, span.start + span.size);
  }
  // Variants of one size with media engines or graphics are the same hole.
  const plain = grid.profiles.filter(({ name }) => /^\d+g\.\d+gb$/.test(name));
  let lost = 0;
  for (const profile of plain) {
    const covered = new Array<boolean>(grid.placementUnits).fill(false);
    for (const start of freeStarts(grid, held, profile)) covered.fill(true, start, start + profile.size);
    lost += free.reduce((sum, open, at) => sum + (open && covered[at] !== true ? 1 : 0), 0);
  }
  const mean = plain.length === 0 ? 0 : lost / plain.length;
  known.lost.set(key, mean);
  return mean;
}
