import { join } from 'node:path';
import { daemonDevices, devicesOf, deviceUuid, type Held, heldDevices, heldThrough } from './held-devices.ts';
import type { GpuState, MachineState, MigDevice } from './machine-state.ts';
import { parsePinnedLimits, tighter } from './mps/limits.ts';
import { type LiveDaemon, liveDaemon } from './mps/live-daemon.ts';
import { callerChain, commandLine, type Environment, isTool, pids, readEnvironment, startedAt } from './process-table.ts';

/** A process that holds a device. */
export interface AttachedProcess {
  readonly pid: number;
  readonly name: string;
  /** `M+C` for the client of a live MPS daemon. */
  readonly type: 'C' | 'M+C';
  readonly gpu: GpuState;
  /** Absent where the whole GPU is held. */
  readonly device: MigDevice | undefined;
  /** As the process asks by its environment, or absent: the size is then made up from the pid. */
  readonly memoryMiB: number | undefined;
  /** It gets no more than this. */
  readonly limitMiB: number | undefined;
  /** 0..1, as asked by the environment. */
  readonly load: number | undefined;
}

/**
 * Every process whose environment makes a device of this machine visible, as
 * CUDA would see it, directly or through a live MPS daemon. nvidia-smi itself
 * and whoever called it are not counted.
 */
export function attachedProcesses(directory: string, state: MachineState): readonly AttachedProcess[] {
  const devices = devicesOf(directory, state);
  const skipped = callerChain();
  const daemons = new Map<string, LiveDaemon | undefined>();
  const found: AttachedProcess[] = [];
  for (const pid of pids()) {
    if (skipped.has(pid)) continue;
    const environment = readEnvironment(pid);
    if (!environment) continue;
    const daemon = daemonFor(directory, pid, environment, daemons);
    const direct = (): readonly Held[] => heldDevices(environment, devices);
    const held = daemon ? heldThrough(daemonDevices(daemon.environment, devices), environment, devices) : direct();
    if (held.length === 0) continue;
    const command = commandLine(pid);
    const name = command[0] ?? '';
    if (isTool(command)) continue;
    const client = daemon !== undefined && name !== 'nvidia-cuda-mps-server';
    if (client && daemon.view.excluded.includes(`${pid}:${startedAt(pid)}`)) continue;
    const type = client ? 'M+C' : 'C';
    const memoryMiB = numberIn(environment, 'FAKE_NVIDIA_SMI_MEMORY_MIB');
    const percent = numberIn(environment, 'FAKE_NVIDIA_SMI_UTILIZATION');
    const load = percent === undefined ? undefined : percent / 100;
    const own = client ? parsePinnedLimits(environment.get('CUDA_MPS_PINNED_DEVICE_MEM_LIMIT')) : undefined;
    for (const [ordinal, one] of held.entries()) {
      const limitMiB = client ? tighter(daemon.view.pinnedMiB[deviceUuid(one)], own?.get(ordinal)) : undefined;
      found.push({ pid, name, type, ...one, memoryMiB, limitMiB, load });
    }
  }
  return found;
}

/** Is another call of this simulator, for this machine, in flight? */
export function otherNvidiaSmiRuns(directory: string): boolean {
  const stateFile = join(directory, 'state.json');
  const skipped = callerChain();
  return pids().some((pid) => {
    if (skipped.has(pid)) return false;
    const command = commandLine(pid);
    return command.some((word) => word.endsWith('/nvidia-smi.cjs')) && command.includes(stateFile);
  });
}

/** A process that was there before the daemon runs without it for good. */
function daemonFor(
  directory: string,
  pid: number,
  environment: Environment,
  known: Map<string, LiveDaemon | undefined>,
): LiveDaemon | undefined {
  const pipes = environment.get('CUDA_MPS_PIPE_DIRECTORY');
  if (!pipes) return undefined;
  if (!known.has(pipes)) known.set(pipes, liveDaemon(directory, pipes));
  const daemon = known.get(pipes);
  return daemon !== undefined && (startedAt(pid) ?? 0) >= daemon.startedAt ? daemon : undefined;
}

function numberIn(environment: Environment, name: string): number | undefined {
  const value = Number(environment.get(name) ?? 'none');
  return Number.isFinite(value) && value >= 0 ? value : undefined;
}
