import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';

export type Environment = ReadonlyMap<string, string>;

export function pids(): readonly number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0);
}

/** This process and whoever called it. */
export function callerChain(): ReadonlySet<number> {
  const chain = new Set<number>([process.pid]);
  for (let pid = process.ppid; pid > 1 && !chain.has(pid); ) {
    chain.add(pid);
    const parent = statFields(pid)?.[1];
    if (parent === undefined) break;
    pid = Number(parent);
  }
  return chain;
}

/** In ticks since boot; tells a process from a later one with its number. Absent for one that is gone or a zombie. */
export function startedAt(pid: number): number | undefined {
  const fields = statFields(pid);
  return fields === undefined || fields[0] === 'Z' ? undefined : Number(fields[19]);
}

/** From the state on: the name before it may hold anything. */
function statFields(pid: number): readonly string[] | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return status.slice(status.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

const buffer = Buffer.allocUnsafe(256 * 1024);
const marks = ['_VISIBLE_DEVICES=', 'CUDA_MPS_PIPE_DIRECTORY='];

/** Undefined for a zombie, a kernel thread, a foreign process, or one that mentions no device and no MPS at all. */
export function readEnvironment(pid: number): Environment | undefined {
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
  if (!marks.some((mark) => bytes.includes(mark))) return undefined;
  const pairs = bytes
    .toString('utf8')
    .split('\0')
    .filter((pair) => pair.includes('='));
  return new Map(pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]));
}

export function commandLine(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
      .split('\0')
      .filter((word) => word !== '');
  } catch {
    return [];
  }
}

const toolWords = ['/nvidia-smi.cjs', '/bin/nvidia-smi', '/nvidia-cuda-mps-control.cjs', '/bin/nvidia-cuda-mps-control'];

/** nvidia-smi and the MPS control program see devices and hold none. */
export function isTool(command: readonly string[]): boolean {
  return command[0] === 'nvidia-cuda-mps-control' || command.slice(0, 4).some((word) => toolWords.some((end) => word.endsWith(end)));
}
