import { freeStarts } from '@astrago/shared/domain/mig/arrange';
import type { MigGrid } from '@astrago/shared/domain/mig/grid';
import { violationsOf } from '@astrago/shared/domain/mig/layout';
import type { Profile } from '@astrago/shared/domain/mig/profile';
import { spanOf, type WantedSlice } from '@astrago/shared/domain/mig/slice';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BucketedGpus } from './bucketed-gpus.ts';
import { layoutCatalogueOf } from './layout-catalogue.ts';
import { placementTableOf, tableFor } from './placement-table.ts';
import { cataloguedGrids, fineGrid, scarceGrid } from './sample-grids.ts';
import { publishedRules } from './standing-rules.ts';

const tables = new Map(
  cataloguedGrids.map((grid) => {
    const catalogue = layoutCatalogueOf(grid);
    const rule = catalogue === undefined ? undefined : publishedRules['fragu']?.(catalogue.sets);
    if (catalogue === undefined || rule === undefined) throw new Error('no table');
    return [grid, placementTableOf(catalogue, rule)];
  }),
);

/** Arrivals and departures, each a number that is read as either. */
const anyHistory = fc.tuple(fc.constantFrom(...cataloguedGrids), fc.array(fc.nat(10_000), { minLength: 1, maxLength: 60 }));

/** The rule as it was published, on slices: free units that no slice of a kind could use, on average over the kinds. */
function unusable(grid: MigGrid, slices: readonly WantedSlice[]): number {
  const taken = new Set(slices.flatMap((slice) => unitsOf(grid, slice)));
  const kinds = new Map<string, Profile>();
  // Variants that take the media engines take the same windows.
  for (const profile of grid.profiles) {
    const kind = `${profile.size}@${profile.starts.join()}`;
    if (!kinds.has(kind)) kinds.set(kind, profile);
  }
  let sum = 0;
  for (const profile of kinds.values()) {
    const open = profile.starts
      .map((start) => unitsOf(grid, { profile: profile.name, start }))
      .filter((units) => !units.some((unit) => taken.has(unit)));
    sum += grid.placementUnits - taken.size - new Set(open.flat()).size;
  }
  return sum / kinds.size;
}

function unitsOf(grid: MigGrid, slice: WantedSlice): readonly number[] {
  const span = spanOf(grid, slice);
  return span === undefined ? [] : Array.from({ length: span.size }, (_, at) => span.start + at);
}

describe('a placement table', () => {
  it('decides as a scan over all GPUs and starts would', () => {
    fc.assert(
      fc.property(anyHistory, ([grid, history]) => {
        const table = tables.get(grid);
        if (table === undefined) throw new Error('no table');
        const gpus = new BucketedGpus();
        const held: WantedSlice[][] = [[], [], [], [], []];
        for (const gpu of held.keys()) gpus.enter(gpu, 0);
        for (const step of history) {
          const leaving = held[step % held.length] ?? [];
          if (step % 3 === 0 && leaving.length > 0) {
            const [gone] = leaving.splice(step % leaving.length, 1);
            const left =
              gone === undefined ? undefined : table.catalogue.remove(gpus.of(step % held.length) ?? 0, gone.profile, gone.start);
            expect(left).toBeDefined();
            gpus.enter(step % held.length, left ?? 0);
            continue;
          }
          const profile = grid.profiles[step % grid.profiles.length] as Profile;
          const costs = held.map((slices) =>
            Math.min(
              ...freeStarts(grid, slices, profile).map(
                (start) => unusable(grid, [...slices, { profile: profile.name, start }]) - unusable(grid, slices),
              ),
            ),
          );
          const least = Math.min(...costs);
          const gpu = gpus.cheapest(table.costsOf(profile.name));
          if (least === Number.POSITIVE_INFINITY) {
            expect(gpu).toBeUndefined();
            continue;
          }
          expect(gpu).toBe(costs.findIndex((cost) => cost < least + 1e-6));
          const at = gpu ?? 0;
          const start = table.startOf(profile.name, gpus.of(at) ?? 0) ?? -1;
          const slices = [...(held[at] ?? []), { profile: profile.name, start }];
          expect(violationsOf(grid, slices)).toEqual([]);
          expect(unusable(grid, slices) - unusable(grid, held[at] ?? [])).toBeCloseTo(least, 6);
          held[at] = slices;
          gpus.enter(at, table.catalogue.idOf(slices) ?? 0);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('sends a slice only where the driver takes it, under every rule, also where compute or a profile is scarce', () => {
    for (const grid of [...cataloguedGrids, scarceGrid]) {
      const catalogue = layoutCatalogueOf(grid);
      if (catalogue === undefined) throw new Error('no catalogue');
      for (const rule of Object.values(publishedRules)) {
        const table = placementTableOf(catalogue, rule(catalogue.sets));
        for (let layout = 0; layout < catalogue.size; layout += 1) {
          const slices = catalogue.slicesOf(layout);
          if (slices === undefined) continue;
          for (const profile of grid.profiles) {
            const start = table.startOf(profile.name, layout);
            if (start === undefined) expect(freeStarts(grid, slices, profile)).toEqual([]);
            else expect(freeStarts(grid, slices, profile)).toContain(start);
          }
        }
      }
    }
  }, 60_000);

  it('is there for a grid with tens of thousands of layouts, too', () => {
    const table = tableFor(fineGrid);
    expect(table?.catalogue.size).toBe(23_889);
    for (const profile of fineGrid.profiles) expect(profile.starts).toContain(table?.startOf(profile.name, 0));
  });
});
