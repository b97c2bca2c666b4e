// Slices where nothing says in which place of their GPU they lie.
import type { UnplacedSlice } from '../app/ports.ts';
import type { ListedMigDevice } from './parse-gpu-list.ts';

/** A MIG device by its number in the listings, with the instances it is made of. */
export interface NamedDevice {
  readonly index: number;
  readonly gpuInstanceId: number;
  readonly computeInstanceId: number;
}

/** The instances that UUIDs name, as they did up to R460; `undefined` where they do not. */
export function devicesNamed(devices: readonly ListedMigDevice[]): readonly NamedDevice[] | undefined {
  const named = devices.flatMap(({ index, uuid }) => {
    const ids = /\/(\d{1,4})\/(\d{1,4})$/.exec(uuid);
    return ids === null ? [] : [{ index, gpuInstanceId: Number(ids[1]), computeInstanceId: Number(ids[2]) }];
  });
  return devices.length > 0 && named.length === devices.length ? named : undefined;
}

/** One for each MIG device that either of the two tells. */
export function unplacedSlices(told: readonly NamedDevice[], names: readonly ListedMigDevice[]): readonly UnplacedSlice[] {
  const indices = [...new Set([...told, ...names].map(({ index }) => index))].sort((a, b) => a - b);
  return indices.map((index) => {
    const device = told.find((own) => own.index === index);
    const name = names.find((own) => own.index === index);
    return {
      profile: name?.profileName,
      gpuInstanceId: device?.gpuInstanceId,
      computeInstanceId: device?.computeInstanceId,
      migUuid: name?.uuid,
    };
  });
}
