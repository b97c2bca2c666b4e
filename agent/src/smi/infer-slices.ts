import { findCatalogModelByName } from '@astrago/shared/domain/mig/catalog';
import { parseProfileName } from '@astrago/shared/domain/mig/profile';
import type { LiveSlice } from '@astrago/shared/domain/mig/slice';
import type { ListedMigDevice } from './parse-gpu-list.ts';
import type { NamedDevice } from './unplaced-slices.ts';

/**
 * The slices of a GPU of a known model without `mig -lgi`. The number of a GPU instance tells its place: 0 is the whole,
 * 1 and 2 are the halves, 3 to 6 the quarters, 7 to 14 the eighths (seen on A30, A100, H100 and H200). `undefined` where
 * that does not fit what the model can be cut into; a guess here would be a slice in the wrong place.
 */
export function inferSlices(
  model: string,
  logged: readonly NamedDevice[],
  listed: readonly ListedMigDevice[],
): readonly LiveSlice[] | undefined {
  const grid = findCatalogModelByName(model)?.grid;
  if (logged.length === 0) return [];
  if (grid === undefined || logged.length !== listed.length) return undefined;
  const slices: LiveSlice[] = [];
  for (const device of logged) {
    const twin = listed.find((own) => own.index === device.index);
    // Of a part of a GPU instance the list names the part: `1c.3g.40gb`.
    const name = parseProfileName((twin?.profileName ?? '').replace(/^\d+c\./, ''));
    const profile = grid.profiles.find((own) => own.name === name);
    const span = Math.max(...grid.profiles.map((own) => own.size));
    const start = startOf(device.gpuInstanceId, span);
    if (name === undefined || profile === undefined || start === undefined || !profile.starts.includes(start)) return undefined;
    if (slices.some((own) => own.gpuInstanceId === device.gpuInstanceId)) continue;
    slices.push({
      profile: name,
      start,
      size: profile.size,
      gpuInstanceId: device.gpuInstanceId,
      computeInstanceId: device.computeInstanceId,
      migUuid: twin?.uuid,
    });
  }
  return slices.toSorted((a, b) => a.start - b.start);
}

/** In placement units of a GPU of `span` of them. */
function startOf(gpuInstanceId: number, span: number): number | undefined {
  if (gpuInstanceId === 0) return 0;
  const parts = [2, 4, 8].find((count) => gpuInstanceId >= count - 1 && gpuInstanceId < 2 * count - 1);
  if (parts === undefined || span % parts !== 0) return undefined;
  return ((gpuInstanceId - (parts - 1)) * span) / parts;
}
