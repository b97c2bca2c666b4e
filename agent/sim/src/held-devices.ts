import { join } from 'node:path';
import { type GpuState, type MachineState, type MigDevice, migDevices } from './machine-state.ts';
import type { Environment } from './process-table.ts';

/** A device in somebody's hands. */
export interface Held {
  readonly gpu: GpuState;
  /** Absent where the whole GPU is held. */
  readonly device: MigDevice | undefined;
}

export interface Devices {
  readonly stateFile: string;
  readonly gpus: readonly GpuState[];
  readonly mig: readonly (readonly MigDevice[])[];
}

export function devicesOf(directory: string, state: MachineState): Devices {
  return { stateFile: join(directory, 'state.json'), gpus: state.gpus, mig: state.gpus.map(migDevices) };
}

export function deviceUuid({ gpu, device }: Held): string {
  return device?.compute.migUuid ?? gpu.uuid;
}

/** What CUDA would see in a process with this environment, in its order. */
export function heldDevices(environment: Environment, devices: Devices): readonly Held[] {
  const owner = environment.get('FAKE_NVIDIA_SMI_STATE');
  if (owner !== undefined && owner !== devices.stateFile) return [];
  const exposed = entries(environment.get('NVIDIA_VISIBLE_DEVICES'));
  const chosen = entries(environment.get('CUDA_VISIBLE_DEVICES'));
  // An index counts within what the container was given; else among the GPUs of the named machine.
  const resolve = (id: string, among: readonly string[]): Held | undefined => {
    if (!/^\d+$/.test(id)) return byUuid(id, devices);
    const named = among[Number(id)];
    if (named !== undefined && !/^\d+$/.test(named)) return byUuid(named, devices);
    const gpu = owner === undefined ? undefined : devices.gpus[Number(named ?? id)];
    return gpu && firstDevice(gpu, devices);
  };
  const ids = chosen ?? exposed ?? [];
  return oneSlice(untilUnknown(ids, (id) => resolve(id, chosen ? (exposed ?? []) : [])));
}

/** What a client sees of the devices that its MPS daemon sees: they are numbered anew, and a UUID must be among them. */
export function heldThrough(daemon: readonly Held[], environment: Environment, devices: Devices): readonly Held[] {
  const chosen = entries(environment.get('CUDA_VISIBLE_DEVICES'));
  if (chosen === undefined) return daemon;
  const resolve = (id: string): Held | undefined => {
    if (/^\d+$/.test(id)) return daemon[Number(id)];
    const asked = byUuid(id, devices);
    return asked && daemon.find((one) => one.gpu.uuid === asked.gpu.uuid && (!asked.device || deviceUuid(one) === deviceUuid(asked)));
  };
  return untilUnknown(chosen, resolve);
}

/** Of a daemon: every GPU, unless its environment chooses. Its indices are those of the machine it was made for. */
export function daemonDevices(environment: Environment, devices: Devices): readonly Held[] {
  if (environment.get('CUDA_VISIBLE_DEVICES') !== undefined) return heldDevices(environment, devices);
  return oneSlice(devices.gpus.map((gpu) => firstDevice(gpu, devices)));
}

/** CUDA stops at the first entry it cannot resolve. */
function untilUnknown(ids: readonly string[], resolve: (id: string) => Held | undefined): readonly Held[] {
  const held: Held[] = [];
  for (const id of ids) {
    const one = resolve(id);
    if (!one) break;
    held.push(one);
  }
  return held;
}

/** CUDA enumerates a single compute instance, whatever the list says. */
function oneSlice(held: readonly Held[]): readonly Held[] {
  const slice = held[0]?.device ? held[0] : undefined;
  return slice ? [slice] : held.filter((one) => !one.device);
}

function byUuid(id: string, devices: Devices): Held | undefined {
  if (id.startsWith('MIG-')) {
    for (const [index, list] of devices.mig.entries()) {
      const device = list.find((candidate) => candidate.compute.migUuid === id);
      const gpu = devices.gpus[index];
      if (device && gpu) return { gpu, device };
    }
    return undefined;
  }
  // CUDA takes an abbreviated GPU UUID.
  const gpu = id.length >= 8 ? devices.gpus.find((candidate) => candidate.uuid.startsWith(id)) : undefined;
  return gpu && firstDevice(gpu, devices);
}

function firstDevice(gpu: GpuState, devices: Devices): Held {
  if (!gpu.migCurrent) return { gpu, device: undefined };
  // With MIG on and nothing carved, the process still has the GPU open.
  return { gpu, device: devices.mig[gpu.index]?.[0] };
}

function entries(value: string | undefined): readonly string[] | undefined {
  if (value === undefined) return undefined;
  const ids = value.split(',').map((id) => id.trim());
  return ids.filter((id) => id !== '' && id !== 'void' && id !== 'none' && id !== 'all' && id !== '-1');
}
