import { freeStarts } from '@astrago/shared/domain/mig/arrange';
import { findProfile, type MigGrid } from '@astrago/shared/domain/mig/grid';
import { isLegal } from '@astrago/shared/domain/mig/layout';
import type { ProfileName } from '@astrago/shared/domain/mig/profile';
import { overlaps, sameSlice, spanOf, type WantedSlice } from '@astrago/shared/domain/mig/slice';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BucketedGpus } from './bucketed-gpus.ts';
import type { Occupant } from './holdings.ts';
import { type PlacementTable, tableFor } from './placement-table.ts';
import { type Relocation, relocate } from './relocate.ts';
import { cataloguedGrids } from './sample-grids.ts';

const tables = new Map(
  cataloguedGrids.map((grid) => {
    const table = tableFor(grid);
    if (table === undefined) throw new Error('no table');
    return [grid, table];
  }),
);

type Cluster = readonly (readonly Occupant[])[];

/** Two to four GPUs, filled at random. */
const anyCluster = fc
  .tuple(
    fc.constantFrom(...cataloguedGrids),
    fc.array(fc.array(fc.tuple(fc.nat(1000), fc.boolean()), { maxLength: 7 }), { minLength: 2, maxLength: 4 }),
  )
  .map(([grid, gpus]): { grid: MigGrid; cluster: Cluster } => ({
    grid,
    cluster: gpus.map((choices) => {
      const held: Occupant[] = [];
      for (const [choice, movable] of choices) {
        const open = grid.profiles
          .filter(({ size }) => size < grid.placementUnits)
          .flatMap((profile) => freeStarts(grid, held, profile).map((start) => ({ profile: profile.name, start })));
        const taken = open[choice % Math.max(1, open.length)];
        if (taken !== undefined) held.push({ ...taken, movable });
      }
      return held;
    }),
  }));

function ask(table: PlacementTable, cluster: Cluster, profile: ProfileName, movesMax: number): Relocation | undefined {
  const gpus = new BucketedGpus();
  for (const [gpu, held] of cluster.entries()) gpus.enter(gpu, table.catalogue.idOf(held) ?? 0);
  return relocate(table, { gpus, occupantsOf: (gpu) => cluster[gpu] ?? [] }, profile, { movesMax, gpusPerLayout: 16 });
}

const blocked = (grid: MigGrid, cluster: Cluster): readonly ProfileName[] =>
  grid.profiles.filter((profile) => cluster.every((held) => freeStarts(grid, held, profile).length === 0)).map(({ name }) => name);

function worth(table: PlacementTable, gpus: readonly (readonly WantedSlice[])[]): number {
  return gpus.reduce((sum, held) => sum + (table.potential[table.catalogue.setOf(table.catalogue.idOf(held) ?? 0)] ?? 0), 0);
}

/** The cluster after the moves, and the slice put where room was made. */
function carriedOut(cluster: Cluster, profile: ProfileName, relocation: Relocation): readonly (readonly WantedSlice[])[] {
  const gpus: WantedSlice[][] = cluster.map((held) => [...held]);
  for (const { gpu, slice } of relocation.moves) {
    const at = gpus[gpu]?.findIndex((one) => sameSlice(one, slice)) ?? -1;
    expect(at).toBeGreaterThanOrEqual(0);
    gpus[gpu]?.splice(at, 1);
  }
  for (const { slice, toGpu, toStart } of relocation.moves) gpus[toGpu]?.push({ profile: slice.profile, start: toStart });
  gpus[relocation.gpu]?.push({ profile, start: relocation.start });
  return gpus;
}

describe('room made by moves', () => {
  it('moves only what may be moved, leaves every GPU legal, and costs what it says', () => {
    let found = 0;
    fc.assert(
      fc.property(anyCluster, fc.integer({ min: 1, max: 2 }), ({ grid, cluster }, movesMax) => {
        const table = tables.get(grid) as PlacementTable;
        for (const profile of blocked(grid, cluster)) {
          const relocation = ask(table, cluster, profile, movesMax);
          if (relocation === undefined) continue;
          found += 1;
          expect(relocation.moves.length).toBeLessThanOrEqual(movesMax);
          for (const { gpu, slice } of relocation.moves) expect(cluster[gpu]?.find((one) => sameSlice(one, slice))?.movable).toBe(true);
          const after = carriedOut(cluster, profile, relocation);
          for (const held of after) expect(isLegal(grid, held)).toBe(true);
          expect(relocation.unitsMoved).toBe(relocation.moves.reduce((sum, { slice }) => sum + (spanOf(grid, slice)?.size ?? 0), 0));
          expect(relocation.loss).toBeCloseTo(worth(table, cluster) - worth(table, after), 6);
        }
      }),
      { numRuns: 300 },
    );
    expect(found).toBeGreaterThan(100);
  });

  it('finds a single move wherever there is one, and the one of least loss', () => {
    fc.assert(
      fc.property(anyCluster, ({ grid, cluster }) => {
        const table = tables.get(grid) as PlacementTable;
        for (const profile of blocked(grid, cluster)) {
          const relocation = ask(table, cluster, profile, 1);
          const least = leastSingleMove(grid, table, cluster, profile);
          if (least === undefined) expect(relocation).toBeUndefined();
          else expect(relocation?.loss).toBeCloseTo(least, 6);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('says no where nothing may be moved', () => {
    fc.assert(
      fc.property(anyCluster, ({ grid, cluster }) => {
        const table = tables.get(grid) as PlacementTable;
        const fixed = cluster.map((held) => held.map((one) => ({ ...one, movable: false })));
        for (const profile of blocked(grid, fixed)) expect(ask(table, fixed, profile, 2)).toBeUndefined();
      }),
    );
  });
});

/** By trying every slice at every place; in its way must be what the new slice overlaps, nothing else. */
function leastSingleMove(grid: MigGrid, table: PlacementTable, cluster: Cluster, profile: ProfileName): number | undefined {
  const starts = findProfile(grid, profile)?.starts ?? [];
  let least: number | undefined;
  for (const [gpu, held] of cluster.entries())
    for (const one of held) {
      if (!one.movable) continue;
      const rest = cluster.map((others, at) => (at === gpu ? others.filter((other) => other !== one) : others));
      for (const start of starts) {
        const [own, span] = [spanOf(grid, one), spanOf(grid, { profile, start })];
        if (own === undefined || span === undefined || !overlaps(own, span)) continue;
        const placed = rest.map((others, at): readonly WantedSlice[] => (at === gpu ? [...others, { profile, start }] : others));
        if (!isLegal(grid, placed[gpu] ?? [])) continue;
        for (const to of placed.keys())
          for (const toStart of findProfile(grid, one.profile)?.starts ?? []) {
            const after = placed.map((others, at) => (at === to ? [...others, { profile: one.profile, start: toStart }] : others));
            if (!isLegal(grid, after[to] ?? [])) continue;
            const loss = worth(table, cluster) - worth(table, after);
            if (least === undefined || loss < least) least = loss;
          }
      }
    }
  return least;
}
