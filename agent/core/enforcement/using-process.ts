import type { GpuUuid } from '@astrago/shared/domain/ids';
import type { Profile } from '@astrago/shared/domain/mig/profile';
import type { LiveSlice } from '@astrago/shared/domain/mig/slice';
import type { AllocatedDevice } from '../order.ts';

/** A process as it was listed on one GPU, with what is known of it. */
export interface UsingProcess {
  readonly gpuUuid: GpuUuid;
  /** Absent on a GPU that is not cut, and where the listing does not say. */
  readonly gpuInstanceId: number | undefined;
  readonly pid: number;
  /** Absent when the process could not be seen: without it nobody can be sure who it is. */
  readonly startTime?: string | undefined;
  readonly name: string;
  readonly usedMemoryMiB: number | undefined;
  /** Only whether it merely draws matters here. */
  readonly type?: string | undefined;
  readonly allocation: string | undefined;
  /** What its allocation was given; absent when nobody knows. */
  readonly devices?: readonly AllocatedDevice[] | undefined;
  readonly podUid?: string | undefined;
  readonly containerId?: string | undefined;
  readonly mpsRole?: 'client' | 'server' | undefined;
}

export interface GpuFacts {
  readonly uuid: GpuUuid;
  readonly memoryMiB: number | undefined;
  readonly slices: readonly LiveSlice[];
  readonly profiles: readonly Profile[];
}
