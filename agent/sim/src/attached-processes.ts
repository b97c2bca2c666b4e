import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { type GpuState, type MachineState, type MigDevice, migDevices } from './machine-state.ts';

/** A process that holds a device. */
export interface AttachedProcess {
  readonly pid: number;
  readonly name: string;
  readonly type: 'C' | 'M+C';
  readonly gpu: GpuState;
  /** Absent where the whole GPU is held. */
  readonly device: MigDevice | undefined;
  /** As the process asks by its environment, or absent: the size is then made up from the pid. */
  readonly memoryMiB: number | undefined;
  /** 0..1, as asked by the environment. */
  readonly load: number | undefined;
}

/**
 * Every process whose environment makes a device of this machine visible, as
 * CUDA would see it. nvidia-smi itself and whoever called it are not counted.
 */
export function attachedProcesses(directory: string, state: MachineState): readonly AttachedProcess[] {
  const devices = { stateFile: join(directory, 'state.json'), gpus: state.gpus, mig: state.gpus.map(migDevices) };
  const skipped = callerChain();
  const found: AttachedProcess[] = [];
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!(pid > 0) || skipped.has(pid)) continue;
    const environment = readEnvironment(pid);
    if (!environment) continue;
    const held = heldDevices(environment, devices);
    if (held.length === 0) continue;
    const command = commandLine(pid);
    const name = command[0] ?? '';
    if (isNvidiaSmi(command) || name.endsWith('nvidia-cuda-mps-control')) continue;
    const server = name.endsWith('nvidia-cuda-mps-server');
    const type = environment.has('CUDA_MPS_PIPE_DIRECTORY') && !server ? 'M+C' : 'C';
    const memoryMiB = numberIn(environment, 'FAKE_NVIDIA_SMI_MEMORY_MIB');
    const percent = numberIn(environment, 'FAKE_NVIDIA_SMI_UTILIZATION');
    const load = percent === undefined ? undefined : percent / 100;
    found.push(...held.map((one) => ({ pid, name, type, ...one, memoryMiB, load }) as const));
  }
  return found;
}

/** Is another call of this simulator, for this machine, in flight? */
export function otherNvidiaSmiRuns(directory: string): boolean {
  const stateFile = join(directory, 'state.json');
  const skipped = callerChain();
  return readdirSync('/proc').some((entry) => {
    const pid = Number(entry);
    if (!(pid > 0) || skipped.has(pid)) return false;
    const command = commandLine(pid);
    return command.some((word) => word.endsWith('/nvidia-smi.cjs')) && command.includes(stateFile);
  });
}

interface Devices {
  readonly stateFile: string;
  readonly gpus: readonly GpuState[];
  readonly mig: readonly (readonly MigDevice[])[];
}

type Held = Pick<AttachedProcess, 'gpu' | 'device'>;

function heldDevices(environment: ReadonlyMap<string, string>, devices: Devices): readonly Held[] {
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
  const held: Held[] = [];
  for (const id of ids) {
    const one = resolve(id, chosen ? (exposed ?? []) : []);
    // CUDA stops at the first entry it cannot resolve.
    if (!one) break;
    held.push(one);
  }
  // CUDA enumerates a single compute instance, whatever the list says.
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

function numberIn(environment: ReadonlyMap<string, string>, name: string): number | undefined {
  const value = Number(environment.get(name) ?? 'none');
  return Number.isFinite(value) && value >= 0 ? value : undefined;
}

function isNvidiaSmi(command: readonly string[]): boolean {
  return command.slice(0, 4).some((word) => word.endsWith('/nvidia-smi.cjs') || word.endsWith('/bin/nvidia-smi'));
}

function callerChain(): ReadonlySet<number> {
  const chain = new Set<number>([process.pid]);
  for (let pid = process.ppid; pid > 1 && !chain.has(pid); ) {
    chain.add(pid);
    try {
      const status = readFileSync(`/proc/${pid}/stat`, 'latin1');
      pid = Number(status.slice(status.lastIndexOf(')') + 2).split(' ')[1]);
    } catch {
      break;
    }
  }
  return chain;
}

const buffer = Buffer.allocUnsafe(256 * 1024);

/** Undefined for a zombie, a kernel thread, a foreign process, or one that mentions no device at all. */
function readEnvironment(pid: number): ReadonlyMap<string, string> | undefined {
  let length = 0;
  try {
    const file = openSync(`/proc/${pid}/environ`, 'r');
    try {
      length = readSync(file, buffer, 0, buffer.length, null);
    } finally {
      closeSync(file);
    }
  } catch {
    return undefined;
  }
  const bytes = buffer.subarray(0, length);
  if (!bytes.includes('_VISIBLE_DEVICES=')) return undefined;
  const pairs = bytes
    .toString('utf8')
    .split('\0')
    .filter((pair) => pair.includes('='));
  return new Map(pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]));
}

function commandLine(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
      .split('\0')
      .filter((word) => word !== '');
  } catch {
    return [];
  }
}
