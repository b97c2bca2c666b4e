// What agents report. Not durable: it is asked again after a restart.
import type { Condition } from '@astrago/shared/domain/condition';
import type { AllocationId, GpuUuid, NodeName } from '@astrago/shared/domain/ids';
import type { MigGrid } from '@astrago/shared/domain/mig/grid';
import type { LiveSlice } from '@astrago/shared/domain/mig/slice';

export interface ObservedGpu {
  readonly uuid: GpuUuid;
  readonly node: NodeName;
  readonly index: number;
  readonly model: string;
  readonly memoryMiB: number | undefined;
  /** Absent when it cannot be cut. */
  readonly grid: MigGrid | undefined;
  readonly migEnabled: boolean;
  readonly slices: readonly LiveSlice[];
  /** GPUs of a node with the same number reach each other over NVLink; absent: not known, or none. */
  readonly nvlinkGroup?: number | undefined;
  /** As the kernel numbers them; absent: not known. */
  readonly numaNode?: number | undefined;
  readonly conditions: readonly Condition[];
}

/** `joining` until the first inventory of this controller's life. */
export type NodeState = 'joining' | 'ready' | 'unreachable';

export interface ObservedNode {
  readonly name: NodeName;
  readonly state: NodeState;
  /** Why it is not ready; absent while it is, and where nothing is known. */
  readonly stateDetail?: string | undefined;
  readonly cpuMilli: number;
  readonly memoryMiB: number;
  readonly agentVersion: string | undefined;
  readonly driverVersion: string | undefined;
  readonly lastSeenMs: number | undefined;
  /** Since when it does not answer; absent while it does. */
  readonly unreachableSinceMs: number | undefined;
  readonly gpus: readonly ObservedGpu[];
  readonly conditions: readonly Condition[];
  /** Processes that no allocation explains, by GPU. */
  readonly strangers: readonly { readonly gpu: GpuUuid; readonly pid: number; readonly name: string }[];
}

export interface ObservedReading {
  readonly gpu: GpuUuid;
  readonly observedAtMs: number;
  readonly utilizationRatio: number | undefined;
  readonly memoryUsedMiB: number | undefined;
  readonly temperatureCelsius: number | undefined;
  readonly powerWatts: number | undefined;
}

export type AllocationFailure =
  | 'create-failed'
  | 'gpu-in-use'
  | 'start-failed'
  | 'process-lost'
  | 'node-rebooted'
  | 'device-lost'
  | 'never-started';

export type ObservedAllocationState =
  | { readonly kind: 'preparing' }
  | { readonly kind: 'running'; readonly startedAtMs: number | undefined }
  | { readonly kind: 'stopping' }
  | { readonly kind: 'exited'; readonly exitCode: number; readonly startedAtMs: number | undefined; readonly endedAtMs: number | undefined }
  | { readonly kind: 'failed'; readonly failure: AllocationFailure; readonly detail: string };

export interface ObservedAllocation {
  readonly id: AllocationId;
  readonly state: ObservedAllocationState;
}
