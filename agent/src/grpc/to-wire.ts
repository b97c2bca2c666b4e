import {
  AllocationState,
  type AllocationStatusSchema,
  EnforcementClass,
  EnforcementDeed,
  FailureReason,
  type GpuSchema,
  MpsDaemonState,
  MpsRole,
  type WatchResponse,
  WatchResponseSchema,
} from '@astrago/proto/agent';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { Failure } from '#core/allocation-step';
import type { EnforcementClass as Enforcement, Order } from '#core/order';
import {
  type AllocationSnapshot,
  type AttributedProcess,
  hasItsSlices,
  type MpsDaemonSnapshot,
  type NodeSnapshot,
  nodeKey,
} from '../app/node-state.ts';
import type { EnforcementAction, ObservedGpu, Reading } from '../app/ports.ts';

export interface NodeFacts {
  readonly node: string;
  readonly bootId: string;
  readonly agentVersion: string;
  readonly cpuMilli: number;
  readonly memoryMiB: number;
}

export function inventoryToWire(facts: NodeFacts, snapshot: NodeSnapshot, order: Order): WatchResponse {
  return create(WatchResponseSchema, {
    report: {
      case: 'inventory',
      value: {
        node: facts.node,
        bootId: facts.bootId,
        agentVersion: facts.agentVersion,
        ...given('driverVersion', snapshot.driverVersion),
        cpuMilli: facts.cpuMilli,
        memoryMib: facts.memoryMiB,
        // Without its slices a GPU would be taken for one that has none.
        gpus: snapshot.gpus.filter(hasItsSlices).map((gpu) => gpuToWire(gpu, snapshot)),
        epoch: BigInt(order.epoch),
        generation: BigInt(order.generation),
        observedAtMs: BigInt(snapshot.observedAtMs),
        conditions: conditionsToWire(snapshot, nodeKey),
      },
    },
  });
}

function conditionsToWire(snapshot: NodeSnapshot, key: string): { kind: string; detail: string; sinceMs: bigint }[] {
  return (snapshot.conditions.get(key) ?? []).map(({ kind, detail, sinceMs }) => ({ kind, detail, sinceMs: BigInt(sinceMs) }));
}

function gpuToWire(gpu: ObservedGpu, snapshot: NodeSnapshot): MessageInitShape<typeof GpuSchema> {
  return {
    uuid: gpu.uuid,
    index: gpu.index,
    model: gpu.model,
    pciBusId: gpu.pciBusId,
    // 0 is "not said" on the wire: no GPU has no memory.
    memoryMib: gpu.memoryMiB ?? 0,
    migCapable: gpu.migCapable,
    migEnabled: gpu.migEnabled,
    ...given('migPending', gpu.migPending),
    profiles: gpu.profiles.map((profile) => ({
      name: profile.name,
      gpuInstanceProfileId: profile.gpuInstanceProfileId,
      computeSlices: profile.computeSlices,
      size: profile.size,
      starts: [...profile.starts],
      instancesMax: profile.instancesMax,
      memoryMib: profile.memoryMiB,
    })),
    slices: gpu.slices.map((slice) => ({
      profile: slice.profile,
      start: slice.start,
      size: slice.size,
      gpuInstanceId: slice.gpuInstanceId,
      ...given('computeInstanceId', slice.computeInstanceId),
      ...given('migUuid', slice.migUuid),
    })),
    conditions: conditionsToWire(snapshot, gpu.uuid),
    mpsDaemons: (snapshot.mpsDaemons?.get(gpu.uuid) ?? []).map(({ device, state, clientPids }) => ({
      device,
      state: mpsDaemonStates[state],
      clientPids: [...clientPids],
    })),
    ...given('nvlinkGroup', gpu.nvlinkGroup),
    ...given('numaNode', gpu.numaNode),
  };
}

const mpsDaemonStates: Readonly<Record<MpsDaemonSnapshot['state'], MpsDaemonState>> = {
  starting: MpsDaemonState.STARTING,
  ready: MpsDaemonState.READY,
  fault: MpsDaemonState.FAULT,
  failed: MpsDaemonState.FAILED,
  stopping: MpsDaemonState.STOPPING,
};

const failureReasons: Readonly<Record<Failure, FailureReason>> = {
  'create-failed': FailureReason.CREATE_FAILED,
  'gpu-in-use': FailureReason.GPU_IN_USE,
  'start-failed': FailureReason.START_FAILED,
  'process-lost': FailureReason.PROCESS_LOST,
  'node-rebooted': FailureReason.NODE_REBOOTED,
  'device-lost': FailureReason.DEVICE_LOST,
  'never-started': FailureReason.NEVER_STARTED,
};

export function allocationsToWire(allocations: readonly AllocationSnapshot[]): WatchResponse {
  return create(WatchResponseSchema, { report: { case: 'allocations', value: { allocations: allocations.map(allocationToWire) } } });
}

const enforcementClasses: Readonly<Record<Enforcement, EnforcementClass>> = {
  hardware: EnforcementClass.HARDWARE,
  driver: EnforcementClass.DRIVER,
  advisory: EnforcementClass.ADVISORY,
};

function allocationToWire({ id, workload, status, enforcement }: AllocationSnapshot): MessageInitShape<typeof AllocationStatusSchema> {
  const base = { id, workload, ...(enforcement === undefined ? {} : { enforcement: enforcementClasses[enforcement] }) };
  switch (status.kind) {
    case 'preparing':
      return { ...base, state: AllocationState.PREPARING };
    case 'running':
      return { ...base, state: AllocationState.RUNNING, ...moment('startedAtMs', status.startedAtMs) };
    case 'stopping':
      return { ...base, state: AllocationState.STOPPING, ...moment('startedAtMs', status.startedAtMs) };
    case 'exited':
      return {
        ...base,
        state: AllocationState.EXITED,
        exitCode: status.exitCode,
        ...moment('startedAtMs', status.startedAtMs),
        ...moment('endedAtMs', status.endedAtMs),
      };
    case 'failed':
      return { ...base, state: AllocationState.FAILED, failure: failureReasons[status.failure], detail: status.detail };
    default:
      return status satisfies never;
  }
}

const mpsRoles = { client: MpsRole.CLIENT, server: MpsRole.SERVER } as const;

export function processesToWire(processes: readonly AttributedProcess[]): WatchResponse {
  const value = {
    processes: processes.map((process) => ({
      gpuUuid: process.gpuUuid,
      pid: process.pid,
      name: process.name,
      ...given('gpuInstanceId', process.gpuInstanceId),
      ...given('computeInstanceId', process.computeInstanceId),
      ...given('usedMemoryMib', process.usedMemoryMiB),
      ...given('allocation', process.allocation),
      ...given('podUid', process.podUid),
      ...given('containerId', process.containerId),
      ...(process.mpsRole === undefined ? {} : { mpsRole: mpsRoles[process.mpsRole] }),
    })),
  };
  return create(WatchResponseSchema, { report: { case: 'processes', value } });
}

const deeds: Readonly<Record<EnforcementAction['deed'], EnforcementDeed>> = {
  notified: EnforcementDeed.NOTIFIED,
  terminated: EnforcementDeed.TERMINATED,
  killed: EnforcementDeed.KILLED,
  'held-back': EnforcementDeed.HELD_BACK,
};

export function enforcementToWire(actions: readonly EnforcementAction[]): WatchResponse {
  const value = {
    actions: actions.map(({ atMs, finding, deed, gpu, pid, allocation, detail }) => ({
      atMs: BigInt(Math.round(atMs)),
      finding,
      deed: deeds[deed],
      gpuUuid: gpu,
      pid,
      ...given('allocation', allocation),
      detail,
    })),
  };
  return create(WatchResponseSchema, { report: { case: 'enforcement', value } });
}

export function readingsToWire(atMs: number, readings: readonly Reading[]): WatchResponse {
  const value = {
    observedAtMs: BigInt(atMs),
    readings: readings.map((reading) => ({
      gpuUuid: reading.gpuUuid,
      ...given('utilizationRatio', reading.utilizationRatio),
      ...given('memoryUsedMib', reading.memoryUsedMiB),
      ...given('temperatureCelsius', reading.temperatureCelsius),
      ...given('powerWatts', reading.powerWatts),
    })),
  };
  return create(WatchResponseSchema, { report: { case: 'readings', value } });
}

/** A field where there is a value, nothing where there is none. */
function given<Key extends string, Value>(key: Key, value: Value | undefined): { [K in Key]?: Value } {
  return (value === undefined ? {} : { [key]: value }) as { [K in Key]?: Value };
}

function moment<Key extends string>(key: Key, ms: number | undefined): { [K in Key]?: bigint } {
  return given(key, ms === undefined ? undefined : BigInt(Math.round(ms)));
}
