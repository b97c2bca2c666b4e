import type { GpuUuid } from '@astrago/shared/domain/ids';
import type { ComputeMode, ModeChanged } from '#core/sharing/next-sharing-step';

/** Compute modes of whole GPUs. Methods throw `DriverFault`; each names one GPU on its command line (I5). */
export interface ComputeModes {
  /** `undefined` when the driver does not say. */
  computeMode(gpu: GpuUuid, signal: AbortSignal): Promise<ComputeMode | undefined>;
  setComputeMode(gpu: GpuUuid, mode: ComputeMode, signal: AbortSignal): Promise<void>;
}

/** Which compute modes are of our doing, so that they are taken back once; forgotten with a reboot, as the driver does. */
export interface ModeMemory {
  /** Those with a mode of our doing. */
  gpus(): readonly GpuUuid[];
  get(gpu: GpuUuid): ModeChanged | undefined;
  /** Durable before the mode is changed. */
  remember(gpu: GpuUuid, changed: ModeChanged): Promise<void>;
  forget(gpu: GpuUuid): Promise<void>;
}
