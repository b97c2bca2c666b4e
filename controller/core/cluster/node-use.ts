import type { GpuUuid } from '@astrago/shared/domain/ids';
import { sameSlice, type WantedSlice } from '@astrago/shared/domain/mig/slice';
import type { AllocationRecord, DeviceShare } from './records.ts';

/** What is held of one GPU. */
export interface GpuUse {
  /** How many hold all of it: 0 or 1, unless an invariant is broken. */
  readonly whole: number;
  readonly slices: readonly WantedSlice[];
  readonly shares: readonly DeviceShare[];
}

export const unused: GpuUse = { whole: 0, slices: [], shares: [] };

/** What is held of one node, kept up to date one allocation at a time. */
export class NodeUse {
  cpuMilli = 0;
  memoryMiB = 0;
  readonly #gpus = new Map<GpuUuid, GpuUse>();

  ofGpu(gpu: GpuUuid): GpuUse {
    return this.#gpus.get(gpu) ?? unused;
  }

  add({ cpuMilli, memoryMiB, devices }: AllocationRecord): void {
    this.cpuMilli += cpuMilli;
    this.memoryMiB += memoryMiB;
    for (const { gpu, slice, share } of devices) {
      const use = this.ofGpu(gpu);
      if (slice !== undefined) this.#set(gpu, { ...use, slices: [...use.slices, slice] });
      else if (share !== undefined) this.#set(gpu, { ...use, shares: [...use.shares, share] });
      else this.#set(gpu, { ...use, whole: use.whole + 1 });
    }
  }

  remove({ cpuMilli, memoryMiB, devices }: AllocationRecord): void {
    this.cpuMilli -= cpuMilli;
    this.memoryMiB -= memoryMiB;
    for (const { gpu, slice, share } of devices) {
      const use = this.ofGpu(gpu);
      if (slice !== undefined) this.#set(gpu, { ...use, slices: without(use.slices, (other) => sameSlice(other, slice)) });
      else if (share !== undefined) this.#set(gpu, { ...use, shares: without(use.shares, (other) => sameShare(other, share)) });
      else this.#set(gpu, { ...use, whole: use.whole - 1 });
    }
  }

  #set(gpu: GpuUuid, use: GpuUse): void {
    if (use.whole === 0 && use.slices.length === 0 && use.shares.length === 0) this.#gpus.delete(gpu);
    else this.#gpus.set(gpu, use);
  }
}

function sameShare(one: DeviceShare, other: DeviceShare): boolean {
  return one.by === other.by && one.milli === other.milli && one.memoryMiB === other.memoryMiB;
}

function without<T>(all: readonly T[], isIt: (one: T) => boolean): readonly T[] {
  const at = all.findIndex(isIt);
  return at < 0 ? all : all.toSpliced(at, 1);
}
