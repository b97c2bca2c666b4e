import { type AttachedProcess, attachedProcesses } from './attached-processes.ts';
import { type GpuModel, type InstanceProfile, type MigTable, requireComputeProfile, requireProfile } from './gpu-model.ts';
import { healthOf } from './health.ts';
import type { Machine } from './machine.ts';
import { type ClockRange, type GpuInstance, type GpuState, type MigDevice, migDevices } from './machine-state.ts';

/** What the sensors of one GPU say at one moment; a function of seed, time and attached processes. */
export interface Reading {
  readonly processes: readonly AttachedProcess[];
  readonly busy: boolean;
  /** 0..1 of the whole board. */
  readonly load: number;
  readonly powerWatts: number;
  readonly powerInstantWatts: number;
  readonly temperatureC: number;
  readonly memoryTemperatureC: number;
  readonly thermalMarginC: number;
  readonly graphicsClockMhz: number;
  readonly memoryClockMhz: number;
  readonly videoClockMhz: number;
  readonly memoryUsedMiB: number;
  readonly memoryFreeMiB: number;
}

/** One scan of the machine, shared by everything one call prints. */
export function scanProcesses(machine: Machine): readonly AttachedProcess[] {
  const all = attachedProcesses(machine.directory, machine.state);
  if (machine.faults.behaviour?.mpsClientsOnWholeGpu === 'listed' || !all.some((one) => one.type === 'M+C')) return all;
  return withoutClients(machine.model, all);
}

/** On a GPU that is not cut, the contexts of MPS clients are the server's. */
function withoutClients(model: GpuModel, all: readonly AttachedProcess[]): readonly AttachedProcess[] {
  const isServer = (one: AttachedProcess): boolean => one.name === 'nvidia-cuda-mps-server' && !one.device;
  const served = new Set(all.filter(isServer).map((one) => one.gpu.uuid));
  const hidden = (one: AttachedProcess): boolean => one.type === 'M+C' && !one.device && served.has(one.gpu.uuid);
  return all
    .filter((one) => !hidden(one))
    .map((one) => {
      if (!isServer(one)) return one;
      const clients = all.filter((client) => hidden(client) && client.gpu.uuid === one.gpu.uuid);
      const memoryMiB = clients.reduce((sum, client) => sum + processMemory(model, client), one.memoryMiB ?? 0);
      return { ...one, memoryMiB, load: clients.reduce((most, client) => Math.max(most, client.load ?? 0.9), 0) };
    });
}

export function readSensors(machine: Machine, gpu: GpuState, scanned: readonly AttachedProcess[], nowMs: number): Reading {
  const { model } = machine;
  const processes = scanned.filter((one) => one.gpu.uuid === gpu.uuid);
  const busy = processes.length > 0;
  // Two seconds a step: calls close together agree, a watcher sees it move.
  const wobble = noise(`${gpu.uuid} ${Math.floor(nowMs / 2000)}`);
  const load = loadOf(model, gpu, processes, wobble);
  const limit = Math.min(gpu.powerLimitWatts, model.powerLimitWatts);
  const idle = model.powerIdleWatts * (1 + (wobble - 0.5) / 50);
  const health = healthOf(machine.health, gpu);
  const powerWatts = health.powerWatts ?? idle + Math.max(limit - idle, 0) * 0.9 * load * (0.98 + wobble / 50);
  const slot = Math.floor(noise(gpu.uuid) * 7);
  const temperatureC = health.temperatureC ?? Math.round(model.temperatureIdleC + slot + 31 * load + wobble);
  const memoryUsedMiB = usedMemory(machine, gpu, processes);
  return {
    processes,
    busy,
    load,
    powerWatts,
    powerInstantWatts: powerWatts * (0.99 + noise(`${gpu.uuid} ${Math.floor(nowMs / 250)}`) / 50),
    temperatureC,
    memoryTemperatureC: health.memoryTemperatureC ?? temperatureC + 7 - Math.round(5 * load),
    thermalMarginC: 87 - temperatureC - Math.round(2 * load),
    graphicsClockMhz: withinRange(busy ? model.graphicsClockMaxMhz : model.graphicsClockIdleMhz, gpu.lockedGpuClocks),
    memoryClockMhz: withinRange(model.memoryClocksMhz[0] ?? 0, gpu.lockedMemoryClocks),
    videoClockMhz: busy ? model.videoClockMaxMhz : model.videoClockIdleMhz,
    memoryUsedMiB,
    memoryFreeMiB: freeMemory(model.memoryTotalMiB - model.memoryReservedMiB, memoryUsedMiB),
  };
}

/** What one process takes, in MiB; never more than its device has. */
export function processMemory(model: GpuModel, process: AttachedProcess): number {
  const capacity = deviceCapacity(model, process.device);
  const wanted = process.memoryMiB ?? 300 + noise(`pid ${process.pid}`) * capacity * 0.2;
  return Math.floor(Math.min(wanted, capacity, process.limitMiB ?? capacity));
}

/** MiB of a slice, or of a GPU that is not cut. */
export function deviceCapacity(model: GpuModel, device: MigDevice | undefined): number {
  if (device) return requireProfile(requireMig(model), device.instance.profileId).memoryMiB;
  return model.memoryTotalMiB - model.memoryReservedMiB;
}

/** Used memory of a GPU instance: shared by its compute instances, so each of them shows the same. */
export function instanceMemory(machine: Machine, instance: GpuInstance, processes: readonly AttachedProcess[]): number {
  const table = requireMig(machine.model);
  const profile = requireProfile(table, instance.profileId);
  const eighths = (8 * profile.size) / table.placementUnits;
  const idle = idleMemory(machine.driver.major)[Math.round(Math.log2(eighths))] ?? 0;
  const attached = processes.filter((one) => one.device?.instance.id === instance.id);
  const held = attached.reduce((sum, one) => sum + processMemory(machine.model, one) + 4, 0);
  return Math.min(idle + held, profile.memoryMiB);
}

/** MiB held by an empty instance of an eighth, a quarter, a half and the whole, as recorded. */
function idleMemory(driverMajor: number): readonly number[] {
  if (driverMajor >= 590) return [9, 17, 26, 59];
  return driverMajor >= 575 ? [15, 26, 44, 87] : [6, 12, 25, 50];
}

/** The window onto the memory of an instance grows with its share of the board. */
export function bar1Memory(table: MigTable, profile: InstanceProfile): number {
  return Math.floor((table.bar1WholeMiB * profile.size) / table.placementUnits);
}

/** The driver rounds each figure by itself: total, used and free do not quite add up. */
export function freeMemory(totalMiB: number, usedMiB: number): number {
  return Math.max(totalMiB - usedMiB, 0) + (usedMiB < totalMiB ? 1 : 0);
}

function usedMemory(machine: Machine, gpu: GpuState, processes: readonly AttachedProcess[]): number {
  const { model } = machine;
  if (gpu.migCurrent) {
    const used = gpu.instances.reduce((sum, instance) => sum + instanceMemory(machine, instance, processes), 0);
    return gpu.instances.length === 0 ? 0 : used - 1;
  }
  const held = processes.reduce((sum, one) => sum + processMemory(model, one) + 4, 0);
  return Math.min(held, model.memoryTotalMiB - model.memoryReservedMiB);
}

function loadOf(model: GpuModel, gpu: GpuState, processes: readonly AttachedProcess[], wobble: number): number {
  const of = (process: AttachedProcess): number => process.load ?? 0.85 + 0.15 * wobble;
  if (!gpu.migCurrent)
    return Math.min(
      processes.reduce((sum, one) => Math.max(sum, of(one)), 0),
      1,
    );
  const table = requireMig(model);
  return migDevices(gpu).reduce((sum, { instance, compute }) => {
    const profile = requireComputeProfile(requireProfile(table, instance.profileId), compute.profileId);
    const here = processes.filter((one) => one.device?.compute.migUuid === compute.migUuid);
    const busiest = here.reduce((most, one) => Math.max(most, of(one)), 0);
    return sum + (busiest * profile.slices) / table.computeSlices;
  }, 0);
}

export function requireMig(model: GpuModel): NonNullable<GpuModel['mig']> {
  if (!model.mig) throw new Error(`${model.key} has no MIG`);
  return model.mig;
}

/** A clock that a lock holds. */
function withinRange(mhz: number, range: ClockRange | undefined): number {
  return range === undefined ? mhz : Math.min(Math.max(mhz, range.min), range.max);
}

/** 0..1, always the same for the same text. */
export function noise(text: string): number {
  let hash = 0x811c9dc5;
  for (let n = 0; n < text.length; n += 1) hash = Math.imul(hash ^ text.charCodeAt(n), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  hash = Math.imul(hash ^ (hash >>> 13), 0x297a2d39);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
