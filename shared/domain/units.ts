import { findProfile, type MigGrid } from './mig/grid.ts';
import type { ProfileName } from './mig/profile.ts';

/**
 * The account of GPUs: compute slices and memory slices of the device's own grid, so that slices and whole
 * GPUs add up under one quota. A device that cannot be cut counts as one of each.
 */
export interface SliceUnits {
  readonly compute: number;
  readonly memory: number;
}

export const noUnits: SliceUnits = { compute: 0, memory: 0 };

export function addUnits(a: SliceUnits, b: SliceUnits): SliceUnits {
  return { compute: a.compute + b.compute, memory: a.memory + b.memory };
}

export function wholeUnits(grid: MigGrid | undefined): SliceUnits {
  return grid === undefined ? { compute: 1, memory: 1 } : { compute: grid.computeSlices, memory: grid.placementUnits };
}

/** `undefined` when the device does not list the profile. */
export function profileUnits(grid: MigGrid, name: ProfileName): SliceUnits | undefined {
  const profile = findProfile(grid, name);
  return profile === undefined ? undefined : { compute: profile.computeSlices, memory: profile.size };
}
