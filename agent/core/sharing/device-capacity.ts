// What a device has to share, as far as the node knows.
import type { Profile } from '@astrago/shared/domain/mig/profile';
import type { WantedSlice } from '@astrago/shared/domain/mig/slice';

export interface DeviceCapacity {
  /** A MIG slice and not a whole GPU. */
  readonly cut: boolean;
  /** Of the GPU or of the slice; absent when the driver did not say. */
  readonly memoryMiB: number | undefined;
  /** How many MPS clients its server takes. */
  readonly mpsClientsMax: number;
}

export interface GpuCapacity {
  /** Whole board; absent when the driver did not say. */
  readonly memoryMiB: number | undefined;
  /** As the device lists them; empty while it has not. */
  readonly profiles: readonly Profile[];
}

/** NVIDIA's MPS documentation: 48 from Volta on, 60 with CUDA 13.1, which came with driver 590. */
const clientsMaxBefore590 = 48;
const clientsMaxSince590 = 60;

/** Of a device that is not cut. The count before 590 is the safe one where the version is not known. */
export function mpsClientsMax(driverVersion: string | undefined): number {
  const major = Number.parseInt(driverVersion ?? '', 10);
  return major >= 590 ? clientsMaxSince590 : clientsMaxBefore590;
}

/** @param slice absent: the whole GPU. */
export function capacityOf(gpu: GpuCapacity, slice: WantedSlice | undefined, driverVersion: string | undefined): DeviceCapacity {
  const clients = mpsClientsMax(driverVersion);
  if (slice === undefined) return { cut: false, memoryMiB: gpu.memoryMiB, mpsClientsMax: clients };
  const profile = gpu.profiles.find((own) => own.name === slice.profile);
  if (profile === undefined) return { cut: true, memoryMiB: undefined, mpsClientsMax: clients };
  // On a MIG device the limit shrinks with the part of the compute that it has.
  const computeSlices = Math.max(...gpu.profiles.map((own) => own.computeSlices));
  const part = computeSlices > 0 ? profile.computeSlices / computeSlices : 1;
  return { cut: true, memoryMiB: profile.memoryMiB, mpsClientsMax: Math.max(1, Math.floor(clients * part)) };
}
