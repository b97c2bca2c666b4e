// Reports stop being messages here. What a report names that is not a name of ours is dropped and told, never guessed.

import {
  type AllocationReport,
  AllocationState,
  type AllocationStatus,
  FailureReason,
  type Gpu,
  type Inventory,
  type ProcessReport,
  type Profile,
  type ReadingReport,
} from '@astrago/proto/agent';
import { type Condition, parseConditionKind } from '@astrago/shared/domain/condition';
import { type NodeName, parseAllocationId, parseGpuUuid } from '@astrago/shared/domain/ids';
import { gridOf } from '@astrago/shared/domain/mig/grid';
import { type Profile as MigProfile, parseProfileName } from '@astrago/shared/domain/mig/profile';
import type { LiveSlice } from '@astrago/shared/domain/mig/slice';
import type {
  AllocationFailure,
  ObservedAllocation,
  ObservedAllocationState,
  ObservedGpu,
  ObservedNode,
  ObservedReading,
} from '#core/cluster/observed';

export interface ReportedInventory {
  readonly bootId: string;
  readonly agentVersion: string;
  readonly driverVersion: string | undefined;
  readonly cpuMilli: number;
  readonly memoryMiB: number;
  readonly gpus: readonly ObservedGpu[];
  readonly conditions: readonly Condition[];
  readonly epoch: number;
  readonly generation: number;
}

export function inventoryFromWire(message: Inventory, node: NodeName): ReportedInventory {
  return {
    bootId: message.bootId,
    agentVersion: message.agentVersion,
    driverVersion: message.driverVersion,
    cpuMilli: message.cpuMilli,
    memoryMiB: message.memoryMib,
    gpus: message.gpus.flatMap((gpu) => gpuFromWire(gpu, node)),
    conditions: conditionsFromWire(message.conditions),
    epoch: Number(message.epoch),
    generation: Number(message.generation),
  };
}

function gpuFromWire(message: Gpu, node: NodeName): readonly ObservedGpu[] {
  const uuid = parseGpuUuid(message.uuid);
  if (uuid === undefined) return [];
  const profiles = message.profiles.flatMap(profileFromWire);
  return [
    {
      uuid,
      node,
      index: message.index,
      model: message.model,
      memoryMiB: message.memoryMib === 0 ? undefined : message.memoryMib,
      grid: message.migCapable ? gridOf(profiles) : undefined,
      migEnabled: message.migEnabled,
      slices: message.slices.flatMap((slice): readonly LiveSlice[] => {
        const profile = parseProfileName(slice.profile);
        if (profile === undefined) return [];
        const { start, size, gpuInstanceId, computeInstanceId, migUuid } = slice;
        return [{ profile, start, size, gpuInstanceId, computeInstanceId, migUuid }];
      }),
      nvlinkGroup: message.nvlinkGroup,
      numaNode: message.numaNode,
      conditions: conditionsFromWire(message.conditions),
    },
  ];
}

function profileFromWire(message: Profile): readonly MigProfile[] {
  const name = parseProfileName(message.name);
  if (name === undefined) return [];
  const { gpuInstanceProfileId, computeSlices, size, starts, instancesMax, memoryMib } = message;
  return [{ name, gpuInstanceProfileId, computeSlices, size, starts, instancesMax, memoryMiB: memoryMib }];
}

function conditionsFromWire(messages: Inventory['conditions']): readonly Condition[] {
  return messages.flatMap(({ kind, detail, sinceMs }) => {
    const parsed = parseConditionKind(kind);
    return parsed === undefined ? [] : [{ kind: parsed, detail, sinceMs: Number(sinceMs) }];
  });
}

const failures: Readonly<Record<FailureReason, AllocationFailure>> = {
  // An agent of a later version may know more reasons; the workload has failed all the same.
  [FailureReason.UNSPECIFIED]: 'process-lost',
  [FailureReason.CREATE_FAILED]: 'create-failed',
  [FailureReason.GPU_IN_USE]: 'gpu-in-use',
  [FailureReason.START_FAILED]: 'start-failed',
  [FailureReason.PROCESS_LOST]: 'process-lost',
  [FailureReason.NODE_REBOOTED]: 'node-rebooted',
  [FailureReason.DEVICE_LOST]: 'device-lost',
  [FailureReason.NEVER_STARTED]: 'never-started',
};

export function allocationsFromWire(message: AllocationReport): readonly ObservedAllocation[] {
  return message.allocations.flatMap((status) => {
    const id = parseAllocationId(status.id);
    const state = stateFromWire(status);
    return id === undefined || state === undefined ? [] : [{ id, state }];
  });
}

function stateFromWire(status: AllocationStatus): ObservedAllocationState | undefined {
  switch (status.state) {
    case AllocationState.PREPARING:
      return { kind: 'preparing' };
    case AllocationState.RUNNING:
      return { kind: 'running', startedAtMs: moment(status.startedAtMs) };
    case AllocationState.STOPPING:
      return { kind: 'stopping' };
    case AllocationState.EXITED:
      return {
        kind: 'exited',
        exitCode: status.exitCode ?? 1,
        startedAtMs: moment(status.startedAtMs),
        endedAtMs: moment(status.endedAtMs),
      };
    case AllocationState.FAILED:
      return { kind: 'failed', failure: failures[status.failure], detail: status.detail };
    default:
      return undefined;
  }
}

export function readingsFromWire(message: ReadingReport): readonly ObservedReading[] {
  return message.readings.flatMap((reading) => {
    const gpu = parseGpuUuid(reading.gpuUuid);
    if (gpu === undefined) return [];
    return [
      {
        gpu,
        observedAtMs: Number(message.observedAtMs),
        utilizationRatio: reading.utilizationRatio,
        memoryUsedMiB: reading.memoryUsedMib,
        temperatureCelsius: reading.temperatureCelsius,
        powerWatts: reading.powerWatts,
      },
    ];
  });
}

/** Processes that no allocation explains. */
export function strangersFromWire(message: ProcessReport): ObservedNode['strangers'] {
  return message.processes.flatMap(({ gpuUuid, pid, name, allocation }) => {
    const gpu = parseGpuUuid(gpuUuid);
    return gpu === undefined || allocation !== undefined ? [] : [{ gpu, pid, name }];
  });
}

function moment(ms: bigint | undefined): number | undefined {
  return ms === undefined ? undefined : Number(ms);
}
