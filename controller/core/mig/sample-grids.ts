// Grids for tests: the catalogued ones, and made-up ones that have what no catalogued one has.
import { catalogModels } from '@astrago/shared/domain/mig/catalog';
import type { MigGrid } from '@astrago/shared/domain/mig/grid';
import { type Profile, parseProfileName } from '@astrago/shared/domain/mig/profile';

function profile(text: string, size: number, starts: readonly number[], computeSlices: number, instancesMax: number): Profile {
  const name = parseProfileName(text);
  if (name === undefined) throw new Error(text);
  return { name, gpuInstanceProfileId: size, computeSlices, size, starts, instancesMax, memoryMiB: 1024 * size };
}

/** Windows would hold more compute than there is, and one profile is scarce. */
export const scarceGrid: MigGrid = {
  computeSlices: 5,
  placementUnits: 6,
  profiles: [
    profile('1g.1gb', 1, [0, 1, 2, 3, 4, 5], 1, 6),
    profile('1g.1gb+me', 1, [0, 1, 2, 3, 4, 5], 1, 1),
    profile('2g.1gb', 1, [0, 2, 4], 2, 2),
    profile('3g.3gb', 3, [0, 3], 3, 2),
    profile('5g.6gb', 6, [0], 5, 1),
  ],
};

/** Twelve units in all sizes that divide them: 23,889 sets of windows. */
export const fineGrid: MigGrid = {
  computeSlices: 12,
  placementUnits: 12,
  profiles: [1, 2, 3, 4, 6, 12].map((size) =>
    profile(
      `${size}g.${size}gb`,
      size,
      Array.from({ length: 12 / size }, (_, at) => at * size),
      size,
      12,
    ),
  ),
};

export const cataloguedGrids: readonly MigGrid[] = ['a30-24gb', 'a100-40gb', 'h100-80gb', 'rtx-pro-6000'].flatMap((key) =>
  catalogModels.filter((model) => model.key === key).map(({ grid }) => grid),
);

export function gridOfModel(key: string): MigGrid {
  const found = catalogModels.find((model) => model.key === key);
  if (found === undefined) throw new Error(key);
  return found.grid;
}
