import { computeSlicesOf, type Profile, parseProfileName } from '@astrago/shared/domain/mig/profile';
import type { GpuInstanceProfileRow } from './parse-gpu-instance-profiles.ts';
import type { PossiblePlacements } from './parse-possible-placements.ts';

/** The profiles of one GPU in listed order. One without a name we know or without a place cannot be created, and is left out. */
export function joinProfiles(rows: readonly GpuInstanceProfileRow[], placements: readonly PossiblePlacements[]): readonly Profile[] {
  const profiles: Profile[] = [];
  for (const row of rows) {
    const name = parseProfileName(row.profileName);
    const place = placements.find((own) => own.profileId === row.profileId);
    if (name === undefined || place === undefined || place.starts.length === 0 || place.size === 0) continue;
    profiles.push({
      name,
      gpuInstanceProfileId: row.profileId,
      computeSlices: computeSlicesOf(name),
      size: place.size,
      starts: place.starts,
      instancesMax: row.total,
      memoryMiB: Math.round(row.memoryGiB * 1024),
    });
  }
  return profiles;
}
