import { sameSlice } from '@astrago/shared/domain/mig/slice';
import type { AllocatedDevice } from '../order.ts';
import type { GpuFacts, UsingProcess } from './using-process.ts';

/**
 * Whether a listed process is on a device. `unknown` where the listing does not say in which slice it is, and where
 * the slice of the device is not listed at this moment: listings of processes and of slices are not of one moment.
 */
export function whereOn(
  process: Pick<UsingProcess, 'gpuUuid' | 'gpuInstanceId'>,
  { gpu, slice }: AllocatedDevice,
  facts: GpuFacts | undefined,
): 'there' | 'elsewhere' | 'unknown' {
  if (process.gpuUuid !== gpu) return 'elsewhere';
  if (slice === undefined) return 'there';
  const live = facts?.slices.find((other) => sameSlice(other, slice));
  if (live === undefined || process.gpuInstanceId === undefined) return 'unknown';
  return live.gpuInstanceId === process.gpuInstanceId ? 'there' : 'elsewhere';
}
