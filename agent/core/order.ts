// What the controller wants of this node, parsed: the one shape that the ledger keeps and the loops read.
import type { EnforcementPolicy } from '@astrago/shared/domain/enforcement';
import type { AllocationId, GpuUuid } from '@astrago/shared/domain/ids';
import type { Layout } from '@astrago/shared/domain/mig/layout';
import type { WantedSlice } from '@astrago/shared/domain/mig/slice';

export interface Order {
  readonly epoch: number;
  readonly generation: number;
  /** A GPU that is not named is left as it is. */
  readonly gpus: readonly DesiredGpu[];
  readonly allocations: readonly DesiredAllocation[];
  /** Absent: everything is observed and nothing more. */
  readonly enforcement?: EnforcementPolicy | undefined;
}

export interface DesiredGpu {
  readonly uuid: GpuUuid;
  readonly layout: Layout;
}

export interface DesiredAllocation {
  readonly id: AllocationId;
  readonly workload: string;
  readonly workspace: string;
  readonly devices: readonly AllocatedDevice[];
  readonly intent: RunIntent | StopIntent;
}

export interface AllocatedDevice {
  readonly gpu: GpuUuid;
  /** Absent: the whole GPU. */
  readonly slice: WantedSlice | undefined;
  /** Absent: nobody else holds it, and the GPU is left in the compute mode it has. */
  readonly share?: Share | undefined;
}

/** How an allocation holds a device that it does not simply have to itself. All holders of a device hold it in one way. */
export type Share =
  /** A whole GPU, set to the compute mode that lets one process in. */
  | { readonly kind: 'exclusive-process' }
  /** Thousandths of the compute of the device, 1 to 1000, and of its memory so much; absent: as much as of compute. */
  | { readonly kind: 'mps'; readonly milli: number; readonly memoryMiB: number | undefined }
  /** Thousandths that were promised; nothing keeps a process to it. */
  | { readonly kind: 'time-sliced'; readonly milli: number };

/** What keeps an allocation to what it was given: the device, its driver, or nothing but being watched. */
export type EnforcementClass = 'hardware' | 'driver' | 'advisory';

/** The weakest of the devices; `undefined` without any. */
export function enforcementClassOf(devices: readonly AllocatedDevice[]): EnforcementClass | undefined {
  const kinds = devices.map(({ share }) => share?.kind);
  if (kinds.includes('time-sliced')) return 'advisory';
  if (kinds.includes('mps')) return 'driver';
  return devices.length === 0 ? undefined : 'hardware';
}

export interface RunIntent {
  readonly kind: 'run';
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDirectory: string | undefined;
  readonly limits?: ResourceLimits | undefined;
}

/** Of the processes of one allocation together where the system can do that, else of each. Absent: no limit of ours. */
export interface ResourceLimits {
  readonly cpuMilli?: number | undefined;
  readonly memoryMiB?: number | undefined;
  readonly processes?: number | undefined;
  readonly openFiles?: number | undefined;
}

export interface StopIntent {
  readonly kind: 'stop';
  readonly graceSeconds: number;
}

export const emptyOrder: Order = { epoch: 0, generation: 0, gpus: [], allocations: [] };
