import { readFileSync, realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Environment, readEnvironment, startedAt } from '../process-table.ts';

/** A running MPS control daemon of this machine. */
export interface LiveDaemon {
  readonly pid: number;
  readonly startedAt: number;
  readonly environment: Environment;
  readonly view: DaemonView;
}

/** What a daemon tells nvidia-smi beyond what `/proc` shows; a file beside the machine's state. */
export interface DaemonView {
  /** `pid:start` of processes that have its directory and are no clients: terminated, waiting, or cut off. */
  readonly excluded: readonly string[];
  /** Limit of the running server in MiB, by device UUID. */
  readonly pinnedMiB: Readonly<Record<string, number>>;
}

const defaultPipeDirectory = join('/', 'tmp', 'nvidia-mps');
export const pidFileName = 'nvidia-cuda-mps-control.pid';

export function pipeDirectoryOf(environment: Environment): string {
  return resolve(environment.get('CUDA_MPS_PIPE_DIRECTORY') || defaultPipeDirectory);
}

export function viewFile(directory: string, pid: number, start: number): string {
  return join(directory, 'mps', `${pid}-${start}.json`);
}

/** The daemon that listens in a pipe directory; undefined where it is dead or another machine's. */
export function liveDaemon(directory: string, pipeDirectory: string): LiveDaemon | undefined {
  let pid: number;
  try {
    pid = Number(readFileSync(join(pipeDirectory, pidFileName), 'utf8'));
  } catch {
    return undefined;
  }
  const start = pid > 0 ? startedAt(pid) : undefined;
  const environment = start === undefined ? undefined : readEnvironment(pid);
  if (start === undefined || environment?.get('FAKE_NVIDIA_SMI_STATE') !== join(directory, 'state.json')) return undefined;
  if (!sameDirectory(pipeDirectoryOf(environment), pipeDirectory)) return undefined;
  let view: DaemonView = { excluded: [], pinnedMiB: {} };
  try {
    view = JSON.parse(readFileSync(viewFile(directory, pid, start), 'utf8')) as DaemonView;
  } catch {
    // It has nothing to tell.
  }
  return { pid, startedAt: start, environment, view };
}

export function sameDirectory(a: string, b: string): boolean {
  return a === b || real(a) === real(b);
}

function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
