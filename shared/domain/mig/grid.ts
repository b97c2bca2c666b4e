import type { Profile, ProfileName } from './profile.ts';

/**
 * How one device can be cut. Read from the device's own listing; the catalog is only a cross-check.
 *
 * `placementUnits` is the length of the placement axis (8 on A100 to B200, 4 on A30, 12 on RTX PRO 6000),
 * `computeSlices` what the compute of all slices may add up to (7 or 4).
 */
export interface MigGrid {
  readonly computeSlices: number;
  readonly placementUnits: number;
  readonly profiles: readonly Profile[];
}

/**
 * The grid behind a listing, or `undefined` for an empty one. The largest profile is the whole
 * device, so its compute slices and its size are those of the device.
 */
export function gridOf(profiles: readonly Profile[]): MigGrid | undefined {
  if (profiles.length === 0) return undefined;
  return {
    computeSlices: Math.max(...profiles.map((profile) => profile.computeSlices)),
    placementUnits: Math.max(...profiles.map((profile) => profile.size)),
    profiles,
  };
}

export function findProfile(grid: MigGrid, name: ProfileName): Profile | undefined {
  return grid.profiles.find((profile) => profile.name === name);
}
