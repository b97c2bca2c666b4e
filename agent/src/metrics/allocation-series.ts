import type { GpuUuid } from '@astrago/shared/domain/ids';
import { sameSlice } from '@astrago/shared/domain/mig/slice';
import type { AllocatedDevice, Order } from '#core/order';
import type { AllocationSnapshot, AttributedProcess } from '../app/node-state.ts';
import type { ObservedGpu } from '../app/ports.ts';
import type { Exposition, Family } from './exposition.ts';
import { foreignProcesses } from './gpu-families.ts';

export const allocationInfo = {
  name: 'astrago_allocation_info',
  type: 'gauge',
  help: 'An allocation on this node, always 1, once for each of its devices; uuid is that of the GPU',
  labels: ['uuid', 'mig_uuid', 'allocation', 'workload', 'workspace', 'namespace', 'pod', 'container', 'pod_uid', 'enforcement', 'state'],
} as const satisfies Family<string>;

export const allocationMemory = {
  name: 'astrago_allocation_memory_used_bytes',
  type: 'gauge',
  help: 'Device memory that the processes of an allocation hold on a GPU, as far as the driver tells it',
  labels: ['allocation', 'uuid'],
} as const satisfies Family<string>;

export const mpsState = {
  name: 'astrago_mps_daemon_state',
  type: 'gauge',
  help: 'State of the MPS control daemon of a GPU or MIG device: 1 for the one it is in, 0 for the others',
  labels: ['device', 'state'],
} as const satisfies Family<string>;

export const mpsClients = {
  name: 'astrago_mps_clients',
  type: 'gauge',
  help: 'Processes that are connected to the MPS control daemon of a device',
  labels: ['device'],
} as const satisfies Family<string>;

const mpsDaemonStates = ['starting', 'ready', 'fault', 'failed', 'stopping'] as const;

/** One MPS control daemon, as the snapshot of a node has it. */
export interface MpsDaemon {
  /** The GPU or MIG UUID that it serves. */
  readonly device: string;
  readonly state: (typeof mpsDaemonStates)[number];
  readonly clientPids: readonly number[];
}

/** Where a process is in Kubernetes, as far as whoever attributes it knows. */
export interface PodPlace {
  readonly namespace?: string | undefined;
  readonly pod?: string | undefined;
  readonly container?: string | undefined;
  readonly podUid?: string | undefined;
}

/** A process with what attribution may say about it beyond its allocation. */
export type PlacedProcess = AttributedProcess & PodPlace & { readonly mpsRole?: 'client' | 'server' | undefined };

export interface AllocationFacts {
  readonly allocations: readonly AllocationSnapshot[];
  readonly order: Order;
  /** Listed and neither lost nor old. */
  readonly gpus: readonly ObservedGpu[];
  /** Absent while nobody has looked, or the last look is old. */
  readonly processes: readonly PlacedProcess[] | undefined;
  readonly mpsDaemons: readonly MpsDaemon[];
}

export function describeAllocations(out: Exposition, facts: AllocationFacts): void {
  const ordered = new Map(facts.order.allocations.map((allocation) => [String(allocation.id), allocation]));
  for (const allocation of facts.allocations) {
    const own = facts.processes?.filter((process) => process.allocation === allocation.id) ?? [];
    const about = {
      allocation: allocation.id,
      workload: allocation.workload,
      workspace: ordered.get(allocation.id)?.workspace,
      ...podLabels(podOf(own)),
      enforcement: allocation.enforcement,
      state: allocation.status.kind,
    };
    const devices = ordered.get(allocation.id)?.devices ?? [];
    for (const device of devices) out.add(allocationInfo, { uuid: device.gpu, mig_uuid: migUuid(facts.gpus, device), ...about }, 1);
    // It holds no device, or the order that named them is gone.
    if (devices.length === 0) out.add(allocationInfo, about, 1);
    for (const [uuid, bytes] of memoryByGpu(own)) out.add(allocationMemory, { allocation: allocation.id, uuid }, bytes);
  }
  if (facts.processes !== undefined)
    for (const { uuid } of facts.gpus) out.add(foreignProcesses, { uuid }, facts.processes.filter((one) => isForeign(one, uuid)).length);
  for (const daemon of facts.mpsDaemons) {
    for (const state of mpsDaemonStates) out.add(mpsState, { device: daemon.device, state }, daemon.state === state ? 1 : 0);
    out.add(mpsClients, { device: daemon.device }, daemon.clientPids.length);
  }
}

/** As for the condition of that name: what only draws on a screen takes nothing from anybody. */
function isForeign(process: PlacedProcess, uuid: GpuUuid): boolean {
  return process.gpuUuid === uuid && process.allocation === undefined && process.type !== 'graphics' && !isMpsServer(process);
}

/** It is there for its clients and belongs to none of them. */
export function isMpsServer(process: PlacedProcess): boolean {
  return process.mpsRole === 'server' || process.type === 'mps-server';
}

function migUuid(gpus: readonly ObservedGpu[], { gpu, slice }: AllocatedDevice): string | undefined {
  if (slice === undefined) return undefined;
  return gpus.find(({ uuid }) => uuid === gpu)?.slices.find((live) => sameSlice(live, slice))?.migUuid;
}

function memoryByGpu(processes: readonly PlacedProcess[]): ReadonlyMap<GpuUuid, number> {
  const sums = new Map<GpuUuid, number>();
  for (const { gpuUuid, usedMemoryMiB } of processes)
    if (usedMemoryMiB !== undefined) sums.set(gpuUuid, (sums.get(gpuUuid) ?? 0) + usedMemoryMiB * 1024 * 1024);
  return sums;
}

/** The one pod that all of these are in; `undefined` when there is none or more than one. */
export function podOf(processes: readonly PlacedProcess[]): PodPlace | undefined {
  const [first] = processes;
  if (first?.podUid === undefined && first?.pod === undefined) return undefined;
  return processes.every(({ podUid, pod, container }) => podUid === first.podUid && pod === first.pod && container === first.container)
    ? first
    : undefined;
}

function podLabels(place: PodPlace | undefined) {
  return { namespace: place?.namespace, pod: place?.pod, container: place?.container, pod_uid: place?.podUid };
}
