import { freeStarts } from '@astrago/shared/domain/mig/arrange';
import { isLegal } from '@astrago/shared/domain/mig/layout';
import { type ProfileName, parseProfileName } from '@astrago/shared/domain/mig/profile';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BucketedGpus } from './bucketed-gpus.ts';
import type { Occupant } from './holdings.ts';
import { placeByEnds, remainingOf, type TimedPlace } from './known-ends.ts';
import { tableFor } from './placement-table.ts';
import { gridOfModel } from './sample-grids.ts';

const grid = gridOfModel('h100-80gb');
const table = tableFor(grid);
if (table === undefined) throw new Error('no table');

const named = (text: string): ProfileName => {
  const name = parseProfileName(text);
  if (name === undefined) throw new Error(text);
  return name;
};

function place(cluster: readonly (readonly Occupant[])[], profile: ProfileName, stay: number | undefined): TimedPlace | undefined {
  const gpus = new BucketedGpus();
  for (const [gpu, held] of cluster.entries()) gpus.enter(gpu, table?.catalogue.idOf(held) ?? 0);
  return table === undefined ? undefined : placeByEnds(table, { gpus, occupantsOf: (gpu) => cluster[gpu] ?? [] }, profile, stay);
}

const anyCluster = fc
  .array(fc.array(fc.tuple(fc.nat(1000), fc.double({ min: 0.01, max: 3, noNaN: true })), { maxLength: 7 }), { minLength: 1, maxLength: 4 })
  .map((gpus) =>
    gpus.map((choices) => {
      const held: Occupant[] = [];
      for (const [choice, remaining] of choices) {
        const open = grid.profiles.flatMap((profile) => freeStarts(grid, held, profile).map((start) => ({ profile: profile.name, start })));
        const taken = open[choice % Math.max(1, open.length)];
        if (taken !== undefined) held.push({ ...taken, movable: true, remaining });
      }
      return held;
    }),
  );

describe('placing by known ends', () => {
  it('places whatever fits somewhere, and legally', () => {
    fc.assert(
      fc.property(anyCluster, fc.option(fc.double({ min: 0.01, max: 3, noNaN: true }), { nil: undefined }), (cluster, stay) => {
        for (const profile of grid.profiles) {
          const found = place(cluster, profile.name, stay);
          const open = cluster.some((held) => freeStarts(grid, held, profile).length > 0);
          expect(found !== undefined).toBe(open);
          if (found !== undefined)
            expect(isLegal(grid, [...(cluster[found.gpu] ?? []), { profile: profile.name, start: found.start }])).toBe(true);
        }
      }),
    );
  });

  it('agrees with the table where nothing ends within the stay', () => {
    fc.assert(
      fc.property(anyCluster, (cluster) => {
        const lasting = cluster.map((held) => held.map((one) => ({ ...one, remaining: 1e6 })));
        for (const profile of grid.profiles) {
          const found = place(lasting, profile.name, 1);
          if (found === undefined) continue;
          const least = Math.min(
            ...lasting.map((held) => table?.costOf(profile.name, table.catalogue.idOf(held) ?? 0) ?? Number.POSITIVE_INFINITY),
          );
          const paid = table?.costOf(profile.name, table.catalogue.idOf(lasting[found.gpu] ?? []) ?? 0);
          expect(paid).toBeCloseTo(least, 6);
        }
      }),
    );
  });

  it('joins what stays as long, not what is about to leave a GPU empty', () => {
    const half = named('3g.40gb');
    const leaving = [{ profile: half, start: 4, movable: true, remaining: 0.05 }];
    const staying = [{ profile: half, start: 4, movable: true, remaining: 2 }];
    expect(place([leaving, staying], half, 2)?.gpu).toBe(1);
    expect(place([staying, leaving], half, 2)?.gpu).toBe(0);
  });

  it('expects the overdue to stay on for half of what they have stayed', () => {
    expect(remainingOf(2, 0.5)).toBe(1.5);
    expect(remainingOf(1, 3)).toBe(1.5);
  });
});
