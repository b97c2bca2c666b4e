import { freeStarts } from '@astrago/shared/domain/mig/arrange';
import type { MigGrid } from '@astrago/shared/domain/mig/grid';
import { violationsOf } from '@astrago/shared/domain/mig/layout';
import type { WantedSlice } from '@astrago/shared/domain/mig/slice';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type LayoutCatalogue, layoutCatalogueOf } from './layout-catalogue.ts';
import { cataloguedGrids, fineGrid, gridOfModel, scarceGrid } from './sample-grids.ts';

const known = new Map<MigGrid, LayoutCatalogue | undefined>();
function catalogueOf(grid: MigGrid): LayoutCatalogue {
  if (!known.has(grid)) known.set(grid, layoutCatalogueOf(grid));
  const catalogue = known.get(grid);
  if (catalogue === undefined) throw new Error('too many layouts');
  return catalogue;
}

/** A grid, and slices put on it one after the other wherever `choices` say. */
const anyLayout = fc
  .tuple(fc.constantFrom(...cataloguedGrids, scarceGrid), fc.array(fc.nat(1000), { maxLength: 12 }))
  .map(([grid, choices]) => {
    const slices: WantedSlice[] = [];
    for (const choice of choices) {
      const open = grid.profiles.flatMap((profile) => freeStarts(grid, slices, profile).map((start) => ({ profile: profile.name, start })));
      const taken = open[choice % Math.max(1, open.length)];
      if (taken !== undefined) slices.push(taken);
    }
    return { grid, slices };
  });

describe('a catalogue of layouts', () => {
  it('knows as many sets of windows as there are', () => {
    expect(catalogueOf(gridOfModel('h100-80gb')).sets.count).toBe(417);
    expect(catalogueOf(gridOfModel('a30-24gb')).sets.count).toBe(26);
    expect(catalogueOf(gridOfModel('rtx-pro-6000')).sets.count).toBe(26);
    expect(layoutCatalogueOf(fineGrid)?.sets.count).toBe(23_889);
  });

  it('says no where there are more than it is allowed', () => {
    expect(layoutCatalogueOf(fineGrid, 20_000)).toBeUndefined();
  });

  it('keeps variants of a profile apart only by what is legal beside them', () => {
    const { sets, size } = catalogueOf(gridOfModel('rtx-pro-6000'));
    expect(sets.kinds).toHaveLength(3);
    expect(size).toBe(2 * sets.count);
  });

  it('opens exactly the starts that the driver would accept, on every layout', () => {
    fc.assert(
      fc.property(anyLayout, ({ grid, slices }) => {
        const catalogue = catalogueOf(grid);
        const id = catalogue.idOf(slices);
        for (const profile of grid.profiles)
          expect(id === undefined ? 'unknown' : catalogue.startsFree(id, profile.name).toSorted((a, b) => a - b)).toEqual(
            freeStarts(grid, slices, profile),
          );
      }),
    );
  });

  it('gives one number to slices in whatever order, and slices to every number that leave as much', () => {
    fc.assert(
      fc.property(anyLayout, ({ grid, slices }) => {
        const catalogue = catalogueOf(grid);
        const id = catalogue.idOf(slices);
        expect(id).toBeDefined();
        expect(catalogue.idOf(slices.toReversed())).toBe(id);
        const others = catalogue.slicesOf(id ?? 0);
        expect(others).toBeDefined();
        expect(violationsOf(grid, others ?? [])).toEqual([]);
        expect(catalogue.idOf(others ?? [])).toBe(id);
      }),
    );
  });

  it('takes away what it added, and finds itself where it was', () => {
    fc.assert(
      fc.property(anyLayout, ({ grid, slices }) => {
        const catalogue = catalogueOf(grid);
        const id = catalogue.idOf(slices) ?? 0;
        for (const profile of grid.profiles)
          for (const start of profile.starts) {
            const more = catalogue.add(id, profile.name, start);
            if (more === undefined) expect(violationsOf(grid, [...slices, { profile: profile.name, start }])).not.toEqual([]);
            else expect(catalogue.remove(more, profile.name, start)).toBe(id);
          }
      }),
    );
  });

  it('fills the smallest slices of an H100 in the order that was recorded', () => {
    const { sets } = catalogueOf(gridOfModel('h100-80gb'));
    expect(sets.kinds[0]?.windows.map((window) => sets.windows[window]?.start)).toEqual([6, 4, 5, 0, 1, 2, 3]);
  });
});
