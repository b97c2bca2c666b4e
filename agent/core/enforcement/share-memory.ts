import type { AllocatedDevice } from '../order.ts';
import type { GpuFacts } from './using-process.ts';

/**
 * What the driver counts for a process beside what it asked for: its context with code and stacks. It grows with
 * the number of multiprocessors and the libraries loaded; half a GiB covers the devices that are shared.
 */
export const contextMemoryMiB = 512;

/**
 * How much of a device's memory an allocation may hold, in MiB. `undefined` for a device that is not shared, where
 * the walls of the hardware are the limit, and while the memory of the device is not known.
 */
export function shareMemoryMiB({ share, slice }: AllocatedDevice, gpu: GpuFacts | undefined): number | undefined {
  switch (share?.kind) {
    case undefined:
    case 'exclusive-process':
      return undefined;
    case 'mps':
      return share.memoryMiB ?? part(share.milli, deviceMemoryMiB(slice, gpu));
    case 'time-sliced':
      return part(share.milli, deviceMemoryMiB(slice, gpu));
    default:
      return share satisfies never;
  }
}

function deviceMemoryMiB(slice: AllocatedDevice['slice'], gpu: GpuFacts | undefined): number | undefined {
  return slice === undefined ? gpu?.memoryMiB : gpu?.profiles.find(({ name }) => name === slice.profile)?.memoryMiB;
}

function part(milli: number, memoryMiB: number | undefined): number | undefined {
  return memoryMiB === undefined ? undefined : Math.floor((memoryMiB * milli) / 1000);
}
