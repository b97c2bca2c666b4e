// What is found when the processes on the GPUs are laid beside the allocations. Nothing is decided here.
import type { GpuUuid } from '@astrago/shared/domain/ids';
import { formatSlice } from '@astrago/shared/domain/mig/slice';
import type { AllocatedDevice } from '../order.ts';
import { contextMemoryMiB, shareMemoryMiB } from './share-memory.ts';
import type { GpuFacts, UsingProcess } from './using-process.ts';
import { whereOn } from './where-on.ts';

export type FindingKind = 'foreign-process' | 'outside-allocation' | 'memory-over-share';

export interface Holder {
  readonly id: string;
  readonly devices: readonly AllocatedDevice[];
}

export interface Finding {
  readonly kind: FindingKind;
  readonly gpu: GpuUuid;
  readonly pid: number;
  readonly startTime: string | undefined;
  readonly name: string;
  readonly allocation: string | undefined;
  readonly mpsClient: boolean;
  /** For a person: the process, whose it is, and what is wrong. Of the same finding it stays the same. */
  readonly detail: string;
  /** Amounts of this listing. */
  readonly measured: string | undefined;
}

/** Two findings are one when they are of one kind, about one process and one GPU. A number given out again is another process. */
export function keyOf({ kind, gpu, pid, startTime }: Finding): string {
  return `${kind} ${pid} ${startTime ?? '?'} ${gpu}`;
}

/** Watchers of the driver's maker, which open every GPU and compute on none. */
const watchers = new Set([
  'nvidia-smi',
  'nvidia-persistenced',
  'nvidia-fabricmanager',
  'nv-fabricmanager',
  'nv-hostengine',
  'dcgm-exporter',
  'nvidia-cuda-mps-control',
]);

/**
 * - `foreign-process`: on any GPU of the node, and no allocation explains it. A process that only draws, a watcher
 *   outside of containers, and the MPS server of a device that an allocation shares by MPS are no strangers.
 * - `outside-allocation`: of an allocation, on a device that it was not given. Where the listing does not say in which
 *   slice a process is, nothing is found.
 * - `memory-over-share`: the processes of an allocation hold more of a device than its share of the memory, with room
 *   for their contexts. What was not measured counts as nothing, so what is found is found for sure.
 *
 * In the order of the processes, each finding once.
 */
export function findingsOf(
  processes: readonly UsingProcess[],
  gpus: ReadonlyMap<GpuUuid, GpuFacts>,
  holders: readonly Holder[],
): readonly Finding[] {
  const all = [
    ...processes.flatMap((process) => foreign(process, gpus, holders)),
    ...processes.flatMap((process) => outside(process, gpus)),
    ...overShare(processes, gpus),
  ];
  return [...new Map(all.toReversed().map((finding) => [keyOf(finding), finding])).values()].toReversed();
}

function foreign(process: UsingProcess, gpus: ReadonlyMap<GpuUuid, GpuFacts>, holders: readonly Holder[]): readonly Finding[] {
  if (process.allocation !== undefined || draws(process) || isWatcher(process)) return [];
  if (process.mpsRole === 'server' && servesAHolder(process, gpus, holders)) return [];
  const measured = process.usedMemoryMiB === undefined ? undefined : `${process.usedMemoryMiB} MiB`;
  return [finding('foreign-process', process, 'uses the GPU and belongs to no allocation', measured)];
}

/** A screen and what is on it: on a workstation every program with a window computes a little too. */
function draws({ type }: UsingProcess): boolean {
  return type === 'graphics' || type === 'compute-and-graphics';
}

/** Anybody may call a program like one of them, so inside a container the name excuses nothing. */
function isWatcher({ name, podUid, containerId }: UsingProcess): boolean {
  return podUid === undefined && containerId === undefined && watchers.has(name.slice(name.lastIndexOf('/') + 1));
}

function servesAHolder(process: UsingProcess, gpus: ReadonlyMap<GpuUuid, GpuFacts>, holders: readonly Holder[]): boolean {
  return holders.some(({ devices }) =>
    devices.some((device) => device.share?.kind === 'mps' && whereOn(process, device, gpus.get(device.gpu)) !== 'elsewhere'),
  );
}

function outside(process: UsingProcess, gpus: ReadonlyMap<GpuUuid, GpuFacts>): readonly Finding[] {
  const { allocation, devices } = process;
  if (allocation === undefined || devices === undefined) return [];
  if (!devices.every((device) => whereOn(process, device, gpus.get(device.gpu)) === 'elsewhere')) return [];
  const place = process.gpuInstanceId === undefined ? '' : ` in GPU instance ${process.gpuInstanceId}`;
  const given = devices.length === 0 ? 'no GPU' : devices.map(describe).join(', ');
  return [finding('outside-allocation', process, `uses this GPU${place}, but its allocation was given ${given}`, undefined)];
}

function describe({ gpu, slice }: AllocatedDevice): string {
  return slice === undefined ? gpu : `${formatSlice(slice)} of ${gpu}`;
}

function overShare(processes: readonly UsingProcess[], gpus: ReadonlyMap<GpuUuid, GpuFacts>): readonly Finding[] {
  const byAllocation = Map.groupBy(
    processes.filter(({ mpsRole }) => mpsRole !== 'server'),
    ({ allocation }) => allocation,
  );
  return [...byAllocation].flatMap(([allocation, own]) =>
    allocation === undefined ? [] : (own[0]?.devices ?? []).flatMap((device) => overShareOf(own, device, gpus.get(device.gpu))),
  );
}

function overShareOf(own: readonly UsingProcess[], device: AllocatedDevice, gpu: GpuFacts | undefined): readonly Finding[] {
  const shareMiB = shareMemoryMiB(device, gpu);
  if (shareMiB === undefined) return [];
  // A process may be listed once as computing and once as drawing: both lines tell the same memory.
  const held = new Map<number, UsingProcess & { readonly usedMemoryMiB: number }>();
  for (const process of own) {
    const { pid, usedMemoryMiB } = process;
    if (usedMemoryMiB === undefined || usedMemoryMiB === 0 || whereOn(process, device, gpu) !== 'there') continue;
    if (usedMemoryMiB > (held.get(pid)?.usedMemoryMiB ?? 0)) held.set(pid, { ...process, usedMemoryMiB });
  }
  const sumMiB = [...held.values()].reduce((sum, { usedMemoryMiB }) => sum + usedMemoryMiB, 0);
  if (sumMiB <= shareMiB + held.size * contextMemoryMiB) return [];
  const what = `uses memory beyond its allocation's share of ${shareMiB} MiB`;
  return [...held.values()].map((process) =>
    finding('memory-over-share', process, what, `${process.usedMemoryMiB} MiB, together ${sumMiB} MiB`),
  );
}

function finding(kind: FindingKind, process: UsingProcess, what: string, measured: string | undefined): Finding {
  const { gpuUuid: gpu, pid, startTime, name, allocation, podUid, containerId } = process;
  const whose =
    allocation !== undefined
      ? ` of allocation ${allocation}`
      : podUid !== undefined
        ? ` in pod ${podUid}`
        : containerId !== undefined
          ? ` in container ${containerId.slice(0, 12)}`
          : '';
  const detail = `process ${pid} (${name})${whose} ${what}`;
  return { kind, gpu, pid, startTime, name, allocation, mpsClient: process.mpsRole === 'client', detail, measured };
}
