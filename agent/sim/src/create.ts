import { execFileSync } from 'node:child_process';
import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { GpuModel } from './gpu-model.ts';
import { gpuUuid, seededHex } from './identity.ts';
import { install, replace } from './install-program.ts';
import type { GpuState, MachineState, MachineTopology } from './machine-state.ts';
import { readState } from './state-file.ts';

export { type CreatedReplay, createReplay, type ReplayOrder } from './create-replay.ts';
export type { FaultAction, FaultRule, Faults } from './faults.ts';
export type { GpuHealth, MachineHealth } from './health.ts';
export { appendKernelLine, appendXid, type Xid } from './kernel-log.ts';
export type { MachineState } from './machine-state.ts';

export interface MachineOrder {
  readonly directory: string;
  /** One of {@link modelNames}. */
  readonly model: string;
  readonly gpuCount: number;
  /** Decides the layouts and wording that are played; 590.48.01 unless given. */
  readonly driverVersion?: string;
  /** UUIDs, serials and bus ids follow from it. */
  readonly seed: string | number;
  /** On unless given. */
  readonly persistence?: boolean;
  /** Off unless given. */
  readonly migEnabled?: boolean;
  /** Unless given as the board has it, on two sockets from four GPUs on, without network cards. */
  readonly topology?: Partial<MachineTopology>;
}

export interface CreatedMachine {
  readonly directory: string;
  /** The executables to call; all of them are in one directory, for `PATH`. */
  readonly nvidiaSmi: string;
  readonly mpsControl: string;
  readonly cudaClient: string;
  readonly stateFile: string;
  readonly faultsFile: string;
  /** What ails the GPUs; not there at first. */
  readonly healthFile: string;
  /** In the form of `/dev/kmsg`; `control-main.ts xid` appends to it. */
  readonly kernelLog: string;
  readonly gpuUuids: readonly string[];
}

const dataDirectory = join(import.meta.dirname, '..', 'data');

/** Programs of a machine, by the module they start from; the server is started by its daemon only. */
const programs = {
  'nvidia-smi': 'main.ts',
  'nvidia-cuda-mps-control': 'mps-control-main.ts',
  'nvidia-cuda-mps-server': 'mps-server-main.ts',
  'cuda-client': 'cuda-client-main.ts',
} as const;

export function modelNames(): readonly string[] {
  return readdirSync(join(dataDirectory, 'models')).map((file) => file.replace(/\.json$/, ''));
}

/** Makes the directory of a simulated machine. A machine that is there keeps its state and faults. */
export function createMachine(order: MachineOrder): CreatedMachine {
  const directory = resolve(order.directory);
  const bin = join(directory, 'bin');
  const lib = join(directory, 'lib');
  const stateFile = join(directory, 'state.json');
  const faultsFile = join(directory, 'faults.json');
  mkdirSync(bin, { recursive: true });
  mkdirSync(lib, { recursive: true });
  writeOnce(stateFile, () => `${JSON.stringify(freshState(order, loadModel(order.model)), null, 1)}\n`);
  writeOnce(faultsFile, () => '{}\n');
  writeOnce(join(directory, 'kmsg'), () => '');
  const state = readState(directory);
  const model = loadModel(state.modelKey);
  replace(join(lib, 'model.json'), JSON.stringify({ dataDirectory, model }));
  for (const [name, entry] of Object.entries(programs)) {
    // The daemon is known as this machine's by its environment.
    const environment = name === 'nvidia-cuda-mps-control' ? { FAKE_NVIDIA_SMI_STATE: stateFile } : undefined;
    install({ directory, name, entry, firstArgument: stateFile, environment, hidden: name === 'nvidia-cuda-mps-server' });
  }
  return {
    directory,
    nvidiaSmi: join(bin, 'nvidia-smi'),
    mpsControl: join(bin, 'nvidia-cuda-mps-control'),
    cudaClient: join(bin, 'cuda-client'),
    stateFile,
    faultsFile,
    healthFile: join(directory, 'health.json'),
    kernelLog: join(directory, 'kmsg'),
    gpuUuids: state.gpus.map((gpu) => gpu.uuid),
  };
}

/** As after a power cycle. Processes that were attached are the caller's to end. */
export function rebootMachine(directory: string): void {
  execFileSync(join(resolve(directory), 'bin', 'nvidia-smi'), ['simulate', 'reboot']);
}

function loadModel(name: string): GpuModel {
  const path = join(dataDirectory, 'models', `${name}.json`);
  if (!existsSync(path)) throw new Error(`no GPU model "${name}"; there are ${modelNames().join(', ')}`);
  return JSON.parse(readFileSync(path, 'utf8')) as GpuModel;
}

function freshState(order: MachineOrder, model: GpuModel): MachineState {
  const seed = String(order.seed);
  const persistence = order.persistence ?? true;
  const migEnabled = (order.migEnabled ?? false) && model.mig !== null;
  const gpus = Array.from({ length: order.gpuCount }, (_, index): GpuState => {
    const hex = seededHex(seed, `identity ${index}`);
    return {
      index,
      uuid: gpuUuid(seed, index),
      serial: `16${(BigInt(`0x${hex.slice(0, 12)}`) % 100_000_000_000n).toString().padStart(11, '0')}`,
      pdi: `0x${hex.slice(12, 28)}`,
      busId: busIdOf(seed, index),
      persistence,
      computeMode: 'Default',
      powerLimitWatts: model.powerLimitWatts,
      migCurrent: migEnabled,
      migPending: migEnabled,
      instances: [],
    };
  });
  const driverVersion = order.driverVersion ?? '590.48.01';
  const topology = order.topology === undefined ? {} : { topology: order.topology };
  return {
    version: 1,
    modelKey: model.key,
    seed,
    driverVersion,
    persistenceAtBoot: persistence,
    ...topology,
    bootedAtMs: Date.now(),
    gpus,
  };
}

/** Ascending with the index, as the driver enumerates; spread over the bus by the seed. */
function busIdOf(seed: string, index: number): string {
  const jitter = Number.parseInt(seededHex(seed, `bus ${index}`).slice(0, 2), 16) % 8;
  const domain = Math.floor(index / 16);
  const bus = 1 + (index % 16) * 15 + jitter;
  return `${hex(domain, 8)}:${hex(bus, 2)}:00.0`;
}

function hex(number: number, width: number): string {
  return number.toString(16).toUpperCase().padStart(width, '0');
}

/** Two creators at once end up with one of the two files, whole. */
function writeOnce(path: string, text: () => string): void {
  if (existsSync(path)) return;
  const temporary = `${path}.${process.pid}.new`;
  writeFileSync(temporary, text());
  try {
    linkSync(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
}
