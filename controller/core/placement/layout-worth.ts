import type { MigGrid } from '@astrago/shared/domain/mig/grid';
import type { WantedSlice } from '@astrago/shared/domain/mig/slice';
import { type PlacementTable, tableFor } from '../mig/placement-table.ts';

/** Differences below this are none: they come from sums in another order. */
const grain = 1e9;

// A grid that is too large to know all of its layouts has no table.
const tables = new WeakMap<MigGrid, PlacementTable | 'none'>();

/**
 * What a GPU with these slices held is worth to the slices to come, in memory slices: less where more of what is free
 * cannot be used by more of the profiles. Equal for all on a device with too many layouts, and for slices that are not
 * legal together.
 */
export function worthOfLayout(grid: MigGrid, held: readonly WantedSlice[]): number {
  const table = tables.get(grid) ?? tableFor(grid) ?? 'none';
  tables.set(grid, table);
  if (table === 'none') return 0;
  const layout = table.catalogue.idOf(held);
  const worth = layout === undefined ? 0 : (table.potential[table.catalogue.setOf(layout)] ?? 0);
  return Math.round(worth * grain) / grain;
}
