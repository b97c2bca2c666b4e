// Places for a slice where only work that may move is in the way.
import { findProfile, type MigGrid } from '@astrago/shared/domain/mig/grid';
import { isLegal } from '@astrago/shared/domain/mig/layout';
import { computeSlicesOf, type ProfileName } from '@astrago/shared/domain/mig/profile';
import { overlaps, spanOf, type WantedSlice } from '@astrago/shared/domain/mig/slice';
import type { Mover, Row, Sitter } from './seating.ts';

export type Leaver = Sitter & { readonly mover: Mover };

export interface Opening {
  readonly row: Row;
  readonly grid: MigGrid;
  readonly slice: WantedSlice;
  readonly leavers: readonly Leaver[];
  /** See {@link lostBy}. */
  readonly lost: number;
}

export function mayLeave(sitter: Sitter): sitter is Leaver {
  return sitter.mover !== undefined;
}

/** The fewest leavers first, then the least lost work. */
export function openingsFor(rows: Iterable<Row>, name: ProfileName, leaversMax: number): readonly Opening[] {
  const found: Opening[] = [];
  for (const row of rows) {
    const { grid, standing } = row.gpu;
    const profile = grid === undefined ? undefined : findProfile(grid, name);
    if (grid === undefined || profile === undefined || row.givenWhole || standing !== 'open') continue;
    for (const start of profile.starts) {
      const inTheWay = row.sitters.filter((sitter) => {
        const span = spanOf(grid, sitter);
        return span !== undefined && overlaps(span, { start, size: profile.size });
      });
      const leavers = inTheWay.filter(mayLeave);
      if (leavers.length < inTheWay.length || leavers.length > leaversMax || leavers.length === 0) continue;
      const slice = { profile: name, start };
      if (!isLegal(grid, [...row.sitters.filter((sitter) => !inTheWay.includes(sitter)), slice])) continue;
      found.push({ row, grid, slice, leavers, lost: lostBy(leavers) });
    }
  }
  return found.sort((a, b) => a.leavers.length - b.leavers.length || a.lost - b.lost);
}

/** Work that is done again when they move: compute slices times seconds. */
export function lostBy(leavers: readonly Leaver[]): number {
  return leavers.reduce((sum, { mover: { used } }) => {
    return sum + (used.move.kind === 'stays' ? 0 : used.move.lostSeconds) * computeSlicesOf(used.profile);
  }, 0);
}
