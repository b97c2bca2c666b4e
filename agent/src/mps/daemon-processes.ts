// Which processes belong to the control daemon of a directory: by what they were started with, not by name alone.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A pid alone is no identity: with its start time, in clock ticks since boot, it is one within a boot. */
export interface OwnProcess {
  readonly pid: number;
  readonly startTime: string;
}

/** The control daemon that left its pid in a directory, if it lives and was started for that directory. */
export function daemonOf(directory: string): OwnProcess | undefined {
  let text: string;
  try {
    text = readFileSync(join(directory, 'nvidia-cuda-mps-control.pid'), 'latin1').trim();
  } catch {
    return undefined;
  }
  const pid = /^[1-9]\d{0,9}$/.test(text) ? Number(text) : undefined;
  return pid !== undefined && isStartedFor(pid, directory) ? identify(pid) : undefined;
}

/** Servers that serve a directory, also when their daemon is gone. Takes a look at every process. */
export function serversOf(directory: string): readonly OwnProcess[] {
  const pids = readdirSync('/proc').flatMap((name) => (/^[1-9]\d*$/.test(name) ? [Number(name)] : []));
  return pids
    .filter((pid) => isServer(pid) && isStartedFor(pid, directory))
    .map(identify)
    .filter((found) => found !== undefined);
}

export function isAlive({ pid, startTime }: OwnProcess): boolean {
  return identify(pid)?.startTime === startTime;
}

export function end(process_: OwnProcess, signal: 'SIGTERM' | 'SIGKILL'): void {
  if (!isAlive(process_)) return;
  try {
    process.kill(process_.pid, signal);
  } catch {
    // Gone meanwhile, or of another user: then it stays, and that is told.
  }
}

/** `undefined` for what is gone, or has ended and is only not yet fetched by its parent. */
export function identify(pid: number): OwnProcess | undefined {
  const text = read(`/proc/${pid}/stat`);
  // The name may hold spaces and brackets; the fields count from its last bracket.
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ') ?? [];
  const startTime = fields[19];
  return startTime === undefined || fields[0] === 'Z' || fields[0] === 'X' ? undefined : { pid, startTime };
}

function isServer(pid: number): boolean {
  const words = read(`/proc/${pid}/cmdline`)?.split('\0').slice(0, 3) ?? [];
  return words.some((word) => /(^|\/)nvidia-cuda-mps-server[^/]*$/.test(word));
}

/** A client has the directory in its environment too, and the id of its allocation beside it. */
function isStartedFor(pid: number, directory: string): boolean {
  const entries = read(`/proc/${pid}/environ`)?.split('\0') ?? [];
  return entries.includes(`CUDA_MPS_PIPE_DIRECTORY=${directory}`) && !entries.some((entry) => entry.startsWith('ASTRAGO_ALLOCATION_ID='));
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return undefined;
  }
}
