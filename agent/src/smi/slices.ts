import { parseProfileName } from '@astrago/shared/domain/mig/profile';
import { type LiveSlice, overlaps } from '@astrago/shared/domain/mig/slice';
import type { ComputeInstanceRow } from './parse-compute-instances.ts';
import type { GpuInstanceRow } from './parse-gpu-instances.ts';
import type { ListedMigDevice } from './parse-gpu-list.ts';
import { type Parsed, parsed, unreadable } from './parsed.ts';

/**
 * The slices of one GPU, from three listings taken one after the other, ordered by start.
 *
 * `-lgi` decides what there is. When `-lci` speaks of GPU instances that it lacks, or the instances cannot lie
 * beside each other, one of the listings is stale or cut short and none is believed. Of several compute
 * instances in one GPU instance the first is reported.
 */
export function joinSlices(
  gpuInstances: readonly GpuInstanceRow[],
  computeInstances: readonly ComputeInstanceRow[],
  devices: readonly ListedMigDevice[],
): Parsed<readonly LiveSlice[]> {
  const uuids = uuidsOf(computeInstances, devices);
  const slices: LiveSlice[] = [];
  for (const row of gpuInstances) {
    const profile = parseProfileName(row.profileName);
    if (profile === undefined) return unreadable('not a profile', row.profileName);
    const twin = slices.find((slice) => slice.gpuInstanceId === row.gpuInstanceId || overlaps(slice, row));
    if (twin !== undefined) return unreadable(`GPU instances ${twin.gpuInstanceId} and ${row.gpuInstanceId} in one place`);
    const first = computeInstances.filter((own) => own.gpuInstanceId === row.gpuInstanceId).toSorted(byId)[0];
    slices.push({
      profile,
      start: row.start,
      size: row.size,
      gpuInstanceId: row.gpuInstanceId,
      computeInstanceId: first?.computeInstanceId,
      migUuid: first === undefined ? undefined : uuids.get(first),
    });
  }
  const orphan = computeInstances.find((row) => !slices.some((slice) => slice.gpuInstanceId === row.gpuInstanceId));
  if (orphan !== undefined)
    return unreadable(`compute instance ${orphan.computeInstanceId} in no GPU instance`, String(orphan.gpuInstanceId));
  return parsed(slices.toSorted((a, b) => a.start - b.start));
}

/**
 * `-L` names no instance (up to R460 it does, in the UUID itself), but lists devices by ascending GPU instance
 * and then compute instance. Believed only when every name agrees: a wrong UUID sends work to another slice.
 */
function uuidsOf(
  computeInstances: readonly ComputeInstanceRow[],
  devices: readonly ListedMigDevice[],
): ReadonlyMap<ComputeInstanceRow, string> {
  const ordered = computeInstances.toSorted(byId);
  const agree = ordered.length === devices.length && ordered.every((row, at) => fits(row, devices[at]));
  return new Map(agree ? ordered.map((row, at) => [row, devices[at]?.uuid ?? '']) : []);
}

function fits(row: ComputeInstanceRow, device: ListedMigDevice | undefined): boolean {
  if (device === undefined || device.profileName !== row.profileName) return false;
  const ids = /\/(\d+)\/(\d+)$/.exec(device.uuid);
  return ids === null || (Number(ids[1]) === row.gpuInstanceId && Number(ids[2]) === row.computeInstanceId);
}

function byId(a: ComputeInstanceRow, b: ComputeInstanceRow): number {
  return a.gpuInstanceId - b.gpuInstanceId || a.computeInstanceId - b.computeInstanceId;
}
