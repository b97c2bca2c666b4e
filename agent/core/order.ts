// What the controller wants of this node, parsed: the one shape that the ledger keeps and the loops read.
import type { AllocationId, GpuUuid } from '@astrago/shared/domain/ids';
import type { Layout } from '@astrago/shared/domain/mig/layout';
import type { WantedSlice } from '@astrago/shared/domain/mig/slice';

export interface Order {
  readonly epoch: number;
  readonly generation: number;
  /** A GPU that is not named is left as it is. */
  readonly gpus: readonly DesiredGpu[];
  readonly allocations: readonly DesiredAllocation[];
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
}

export interface RunIntent {
  readonly kind: 'run';
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDirectory: string | undefined;
}

export interface StopIntent {
  readonly kind: 'stop';
  readonly graceSeconds: number;
}

export const emptyOrder: Order = { epoch: 0, generation: 0, gpus: [], allocations: [] };
