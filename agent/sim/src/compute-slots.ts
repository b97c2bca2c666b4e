import { type ComputeProfile, type InstanceProfile, requireComputeProfile } from './gpu-model.ts';
import type { GpuInstance } from './machine-state.ts';

/** Starts, in slices of the GPU instance, where the compute profile fits now; the driver's choice first. */
export function fittingComputeStarts(profile: InstanceProfile, instance: GpuInstance, wanted: ComputeProfile): readonly number[] {
  const held = instance.computeInstances.map((compute) => ({
    start: compute.start,
    end: compute.start + requireComputeProfile(profile, compute.profileId).slices,
  }));
  return possibleStarts(profile, wanted).filter((start) =>
    held.every((other) => start + wanted.slices <= other.start || other.end <= start),
  );
}

/** The `Free` column of `-lcip`. */
export function freeComputeCount(profile: InstanceProfile, instance: GpuInstance, wanted: ComputeProfile): number {
  const size = wanted.slices;
  // Possible starts of one profile never overlap each other, so every fitting one counts.
  return size === profile.slices ? Number(instance.computeInstances.length === 0) : fittingComputeStarts(profile, instance, wanted).length;
}

/** Lowest id not in use. */
export function nextComputeInstanceId(instance: GpuInstance): number {
  const used = new Set(instance.computeInstances.map((compute) => compute.id));
  let id = 0;
  while (used.has(id)) id += 1;
  return id;
}

/**
 * A lone one-slice compute instance in a 3g instance was recorded at 2:1, so
 * single slices are handed out from the right, which leaves room for a larger
 * one at the left.
 */
export function possibleStarts(profile: InstanceProfile, wanted: ComputeProfile): readonly number[] {
  if (wanted.slices === 1) return Array.from({ length: profile.slices }, (_, n) => profile.slices - 1 - n);
  const stride = wanted.slices === 3 ? 4 : wanted.slices;
  return Array.from({ length: wanted.instancesTotal }, (_, n) => n * stride);
}
