import { type InstanceProfile, type MigTable, requireProfile } from './gpu-model.ts';
import type { GpuInstance, GpuState } from './machine-state.ts';

/**
 * The id of a GPU instance names its slot: 0 is the whole GPU, then the halves,
 * the quarters and the eighths, each numbered from the left.
 */
export function instanceIdOf(table: MigTable, start: number, size: number): number {
  const slots = Math.round(table.placementUnits / size);
  return slots - 1 + Math.floor(start / size);
}

/** Starts where the profile fits now, in the order of `-lgipp`. */
export function fittingStarts(table: MigTable, gpu: GpuState, profile: InstanceProfile): readonly number[] {
  const held = gpu.instances.map((instance) => ({ instance, profile: requireProfile(table, instance.profileId) }));
  const slicesHeld = held.reduce((sum, entry) => sum + entry.profile.slices, 0);
  if (slicesHeld + profile.slices > table.computeSlices) return [];
  if (profile.holdsMediaExtensions && held.some((entry) => entry.profile.holdsMediaExtensions)) return [];
  return profile.starts.filter((start) =>
    held.every((entry) => start + profile.size <= entry.instance.start || entry.instance.start + entry.profile.size <= start),
  );
}

/** The `Free` column of `-lgip`: how many more fit now. */
export function freeCount(table: MigTable, gpu: GpuState, profile: InstanceProfile): number {
  const ofSame = gpu.instances.filter((instance) => instance.profileId === profile.id).length;
  return Math.min(fittingStarts(table, gpu, profile).length, Math.max(profile.instancesTotal - ofSame, 0));
}

// Observed on eight-slice boards, by size; the other boards take the lowest start.
const preferredStarts: Readonly<Record<number, readonly number[]>> = {
  1: [6, 4, 5, 0, 1, 2, 3],
  2: [4, 0, 2, 6],
  4: [4, 0],
};

/** Where the driver puts an instance when the caller does not say. */
export function defaultStart(table: MigTable, gpu: GpuState, profile: InstanceProfile): number | undefined {
  if (freeCount(table, gpu, profile) === 0) return undefined;
  const fitting = fittingStarts(table, gpu, profile);
  const preferred = table.placementUnits === 8 ? preferredStarts[profile.size] : undefined;
  return preferred?.find((start) => fitting.includes(start)) ?? fitting[0];
}

/** The row order of `-lgi`: NVML's profile enumeration, then instance id. */
export function listedInstances(table: MigTable, gpu: GpuState): readonly GpuInstance[] {
  const rank = (instance: GpuInstance): number => requireProfile(table, instance.profileId).nvmlOrder;
  return [...gpu.instances].sort((a, b) => rank(a) - rank(b) || a.id - b.id);
}
