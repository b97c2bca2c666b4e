import type { SliceUnits } from '@astrago/shared/domain/units';
import type { DeviceShare, ShareKind } from './records.ts';

/**
 * Thousandths of a GPU that a share takes: of its compute or of its memory, whichever is more, so that neither is
 * promised twice.
 *
 * @param gpuMemoryMiB absent where it is not known: then only compute counts.
 */
export function shareMilli(milli: number, memoryMiB: number | undefined, gpuMemoryMiB: number | undefined): number {
  if (memoryMiB === undefined || gpuMemoryMiB === undefined) return milli;
  return Math.max(milli, Math.ceil((1000 * memoryMiB) / gpuMemoryMiB));
}

/** The memory of a share is as much of the GPU's as of its compute, unless it says otherwise. */
export function deviceShare(by: ShareKind, milli: number, memoryMiB: number | undefined, gpuMemoryMiB: number | undefined): DeviceShare {
  const own = gpuMemoryMiB === undefined ? undefined : Math.floor((gpuMemoryMiB * milli) / 1000);
  return { by, milli, memoryMiB: memoryMiB ?? own };
}

/** The part of a GPU's slice units that so many thousandths are, to the thousandth. */
export function partOfUnits(whole: SliceUnits, milli: number): SliceUnits {
  return { compute: Math.ceil(whole.compute * milli) / 1000, memory: Math.ceil(whole.memory * milli) / 1000 };
}

/** Sums of thousandths without the dust of binary fractions. */
export function roundUnits({ compute, memory }: SliceUnits): SliceUnits {
  return { compute: Math.round(compute * 1000) / 1000, memory: Math.round(memory * 1000) / 1000 };
}
