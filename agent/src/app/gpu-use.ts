import { sameSlice } from '@astrago/shared/domain/mig/slice';
import type { GpuUse } from '#core/next-step';
import type { Held } from './holdings.ts';
import type { ObservedGpu, ObservedProcess } from './ports.ts';

/** Something that uses a GPU and is not an allocation of ours. */
export interface Stranger {
  /** Absent: the GPU as a whole, or nobody knows where. */
  readonly gpuInstanceId: number | undefined;
  readonly text: string;
}

export function strangerOf(process: ObservedProcess): Stranger {
  return { gpuInstanceId: process.gpuInstanceId, text: `process ${process.pid} (${process.name})` };
}

/** Use of one GPU, as our own allocations claim it and as the driver showed it. */
export function useOf(gpu: ObservedGpu, held: readonly Held[], strangers: readonly Stranger[]): GpuUse {
  const whole: string[] = [];
  const byInstance = new Map<number, string[]>();
  const add = (gpuInstanceId: number | undefined, user: string): void => {
    if (gpuInstanceId === undefined) whole.push(user);
    else byInstance.set(gpuInstanceId, [...(byInstance.get(gpuInstanceId) ?? []), user]);
  };
  for (const { id, slice } of held) {
    const live = slice === undefined ? undefined : gpu.slices.find((other) => sameSlice(other, slice));
    // An allocation whose slice is gone holds nothing any more that could be destroyed.
    if (slice === undefined || live !== undefined) add(live?.gpuInstanceId, `allocation ${id}`);
  }
  for (const { gpuInstanceId, text } of strangers) add(gpuInstanceId, text);
  return { whole, byInstance };
}

export function isStranger(user: string): boolean {
  return !user.startsWith('allocation ');
}
