import { sameSlice, type WantedSlice } from '@astrago/shared/domain/mig/slice';
import type { GpuUse } from '#core/next-step';
import type { Held } from './holdings.ts';
import type { ObservedGpu, ObservedProcess } from './ports.ts';

/** Something that uses a GPU and is not an allocation of ours. */
export interface Stranger {
  /** Absent: the GPU as a whole, or nobody knows where. */
  readonly gpuInstanceId: number | undefined;
  /** Absent: the driver did not name it. */
  readonly pid?: number;
  readonly text: string;
}

/** Something of our own sharing that sits on a device and goes away by itself when nobody needs it. */
export interface OwnUse {
  /** Absent: the whole GPU. */
  readonly slice: WantedSlice | undefined;
  readonly text: string;
}

export function strangerOf(process: ObservedProcess): Stranger {
  return { gpuInstanceId: process.gpuInstanceId, pid: process.pid, text: `process ${process.pid} (${process.name})` };
}

/** Use of one GPU, as our own allocations claim it, as sharing needs it and as the driver showed it. */
export function useOf(gpu: ObservedGpu, held: readonly Held[], strangers: readonly Stranger[], own: readonly OwnUse[]): GpuUse {
  const whole: string[] = [];
  const byInstance = new Map<number, string[]>();
  const add = (gpuInstanceId: number | undefined, user: string): void => {
    if (gpuInstanceId === undefined) whole.push(user);
    else byInstance.set(gpuInstanceId, [...(byInstance.get(gpuInstanceId) ?? []), user]);
  };
  const ours = [
    ...held.map(({ id, slice }) => ({ slice, text: `allocation ${id}` })),
    ...own.map((one) => ({ ...one, text: `our ${one.text}` })),
  ];
  for (const { slice, text } of ours) {
    const live = slice === undefined ? undefined : gpu.slices.find((other) => sameSlice(other, slice));
    // What is on a slice that is gone holds nothing any more that could be destroyed.
    if (slice === undefined || live !== undefined) add(live?.gpuInstanceId, text);
  }
  for (const { gpuInstanceId, text } of strangers) add(gpuInstanceId, text);
  return { whole, byInstance };
}

export function isStranger(user: string): boolean {
  return !user.startsWith('allocation ') && !user.startsWith('our ');
}
