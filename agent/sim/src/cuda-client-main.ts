import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { type AttachedProcess, attachedProcesses } from './attached-processes.ts';
import { readFaults } from './faults.ts';
import { type GpuModel, requireComputeProfile, requireProfile } from './gpu-model.ts';
import { daemonDevices, devicesOf, deviceUuid, type Held, heldDevices, heldThrough } from './held-devices.ts';
import { type CudaError, cudaErrors } from './mps/cuda-error.ts';
import { parsePercentage, parsePinnedLimits, tighter, wholeMultiprocessors } from './mps/limits.ts';
import { liveDaemon, pipeDirectoryOf } from './mps/live-daemon.ts';
import { type FromDaemon, receive, send } from './mps/wire.ts';
import { startedAt } from './process-table.ts';
import { readState } from './state-file.ts';
import { deviceCapacity, processMemory } from './telemetry.ts';

/**
 * A tiny CUDA program: takes its devices and its memory as its environment says, tells on standard output what it got,
 * and holds it until it is ended. `--for ms` ends it by itself, `--ignore-sigterm` makes it stubborn, `--linger` keeps
 * the process after a CUDA error.
 */
const [, , stateFile = '', ...args] = process.argv;
process.title = 'cuda-client';
const machineDirectory = dirname(stateFile);
const environment = new Map(Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const])));
const { model } = JSON.parse(readFileSync(join(machineDirectory, 'lib', 'model.json'), 'utf8')) as { model: GpuModel };
const askedMiB = Number(process.env['FAKE_NVIDIA_SMI_MEMORY_MIB'] ?? '0');

type Attached = Extract<FromDaemon, { kind: 'attached' }>;

function fail(code: CudaError): void {
  const [name, text] = cudaErrors[code];
  console.error(`CUDA error ${code} (${name}): ${text}`);
  if (!args.includes('--linger')) process.exit(1);
  setInterval(() => undefined, 2 ** 30);
}

async function main(): Promise<void> {
  process.on('SIGTERM', () => {
    console.log('SIGTERM');
    if (!args.includes('--ignore-sigterm')) process.exit(143);
  });
  const daemon = liveDaemon(machineDirectory, pipeDirectoryOf(environment));
  const devices = devicesOf(machineDirectory, readState(machineDirectory));
  const held = daemon ? heldThrough(daemonDevices(daemon.environment, devices), environment, devices) : heldDevices(environment, devices);
  if (held.length === 0 || driverIsGone(held)) return fail(100);
  if (contextsRefused(held, daemon !== undefined)) return fail(46);
  const attached = daemon ? await attach(join(pipeDirectoryOf(environment), 'control')) : undefined;
  if (typeof attached === 'number') return fail(attached);
  console.log(attached ? `MPS server ${attached.serverPid}` : 'without MPS');
  for (const [ordinal, one] of held.entries()) if (!takeMemory(one, ordinal, attached)) return fail(2);
  process.on('SIGUSR1', () => {
    if (attached) send(socketOfDaemon as Socket, { kind: 'fault', pid: process.pid });
    else fail(700);
  });
  console.log('ready');
  const at = args.indexOf('--for');
  if (at >= 0) setTimeout(() => process.exit(0), Number(args[at + 1]));
  else setInterval(() => undefined, 2 ** 30);
}

let socketOfDaemon: Socket | undefined;

function driverIsGone(held: readonly Held[]): boolean {
  const { driverDown, noDevices, libraryMismatch, gpuLost } = readFaults(machineDirectory);
  const lost = typeof gpuLost === 'string' ? gpuLost : gpuLost?.uuid;
  return Boolean(driverDown || noDevices || libraryMismatch) || held.some((one) => one.gpu.uuid === lost);
}

/** An exclusive GPU has room for one process; of two that come together the earlier one gets it. */
function contextsRefused(held: readonly Held[], throughMps: boolean): boolean {
  if (held.some((one) => one.gpu.computeMode === 'Prohibited')) return true;
  const exclusive = held.filter((one) => one.gpu.computeMode === 'Exclusive_Process').map((one) => one.gpu.uuid);
  if (throughMps || exclusive.length === 0) return false;
  const mine = startedAt(process.pid) ?? 0;
  return others()
    .filter((one) => exclusive.includes(one.gpu.uuid) && one.type === 'C')
    .some((one) => {
      const theirs = startedAt(one.pid) ?? 0;
      return theirs < mine || (theirs === mine && one.pid < process.pid);
    });
}

function others(): readonly AttachedProcess[] {
  return attachedProcesses(machineDirectory, readState(machineDirectory));
}

/** The server's word, or the error that it refuses with. */
function attach(path: string): Promise<Attached | CudaError> {
  return new Promise((resolve) => {
    const socket = connect(path, () => send(socket, { kind: 'attach', pid: process.pid, uid: process.getuid?.() ?? 0 }));
    socketOfDaemon = socket;
    socket.on('error', () => resolve(805));
    let served: Attached | undefined;
    receive<FromDaemon>(socket, (message) => {
      if (message.kind === 'attached') {
        served = message;
        resolve(message);
      } else if (message.kind === 'error') {
        const code = message.code as CudaError;
        if (served) fail(code);
        else resolve(code);
        served = undefined;
      }
    });
    // The daemon went; a server that outlives it goes on serving.
    socket.on('close', () => {
      if (!served) resolve(805);
      else if (startedAt(served.serverPid) === undefined) fail(806);
      else setInterval(() => startedAt(served?.serverPid ?? 0) === undefined && fail(806), 200);
    });
  });
}

/** Tells what the device gives; false where it has less than is asked. */
function takeMemory(one: Held, ordinal: number, attached: Attached | undefined): boolean {
  const uuid = deviceUuid(one);
  const total = multiprocessors(one);
  const percentage = attached
    ? Math.min(attached.threadPercentage, parsePercentage(process.env['CUDA_MPS_ACTIVE_THREAD_PERCENTAGE']) ?? 100)
    : 100;
  const granted = wholeMultiprocessors(percentage, total);
  const own = attached ? parsePinnedLimits(process.env['CUDA_MPS_PINNED_DEVICE_MEM_LIMIT']).get(ordinal) : undefined;
  const limit = tighter(attached?.pinnedMiB[uuid], own);
  console.log(`device ${ordinal}: ${uuid}`);
  console.log(`active threads: ${((granted / total) * 100).toFixed(1)} % (${granted} of ${total} multiprocessors)`);
  console.log(`memory: ${askedMiB} MiB of at most ${limit ?? freeMiB(one)} MiB`);
  return askedMiB <= Math.min(limit ?? Number.POSITIVE_INFINITY, freeMiB(one));
}

function freeMiB(one: Held): number {
  const capacity = deviceCapacity(model, one.device);
  const here = others().filter((other) => other.gpu.uuid === one.gpu.uuid && other.device?.instance.id === one.device?.instance.id);
  return Math.max(0, capacity - here.reduce((sum, other) => sum + processMemory(model, other), 0));
}

/** Of boards without MIG, as their data sheets say. */
const wholeBoards: Readonly<Record<string, number>> = { l40s: 142, t4: 40, a10: 72 };

function multiprocessors({ device }: Held): number {
  if (!model.mig || !device)
    return model.mig?.profiles.reduce((most, profile) => Math.max(most, profile.sm), 0) ?? wholeBoards[model.key] ?? 100;
  return requireComputeProfile(requireProfile(model.mig, device.instance.profileId), device.compute.profileId).sm;
}

void main();
