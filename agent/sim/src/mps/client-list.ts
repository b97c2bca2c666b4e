import { statSync } from 'node:fs';
import type { Socket } from 'node:net';
import { uptime } from 'node:os';
import type { Held } from '../held-devices.ts';
import { devicesOf, heldThrough } from '../held-devices.ts';
import { callerChain, commandLine, isTool, pids, readEnvironment, startedAt } from '../process-table.ts';
import { readState } from '../state-file.ts';
import { pipeDirectoryOf, sameDirectory } from './live-daemon.ts';

/** A process with the daemon's directory in its environment. */
export interface Candidate {
  readonly pid: number;
  /** `pid:start`, which no later process shares. */
  readonly key: string;
  readonly uid: number;
  readonly held: readonly Held[];
  readonly command: string;
  /** The client program talks to the daemon; anything else is taken for a client as it is. */
  readonly talks: boolean;
}

/** A client program that is connected. */
export interface Connected {
  readonly pid: number;
  readonly uid: number;
  readonly socket: Socket;
  state: 'waiting' | 'served';
}

/** Every process that would have found this daemon when it began to use CUDA. */
export function candidates(
  machineDirectory: string,
  pipeDirectory: string,
  daemon: readonly Held[],
  since: number,
  strangers: Set<number>,
): readonly Candidate[] {
  const devices = devicesOf(machineDirectory, readState(machineDirectory));
  const skipped = callerChain();
  const found: Candidate[] = [];
  const present = pids();
  for (const pid of strangers) if (!present.includes(pid)) strangers.delete(pid);
  for (const pid of present) {
    if (skipped.has(pid) || strangers.has(pid)) continue;
    const environment = readEnvironment(pid);
    if (!environment?.has('CUDA_MPS_PIPE_DIRECTORY') || !sameDirectory(pipeDirectoryOf(environment), pipeDirectory)) {
      // A young process may yet become another program.
      if (uptimeTicks() - (startedAt(pid) ?? 0) > settledTicks) strangers.add(pid);
      continue;
    }
    const command = commandLine(pid);
    if (isTool(command) || command[0] === 'nvidia-cuda-mps-server') continue;
    const start = startedAt(pid);
    if (start === undefined || start < since) continue;
    const held = heldThrough(daemon, environment, devices);
    if (held.length === 0) continue;
    const talks = command[0] === 'cuda-client' || command.some((word) => /\/(bin\/cuda-client|cuda-client\.cjs)$/.test(word));
    found.push({ pid, key: `${pid}:${start}`, uid: ownerOf(pid), held, command: command[0] ?? '', talks });
  }
  return found;
}

/** Three seconds, in the ticks of a hundredth that Linux shows on every architecture. */
const settledTicks = 300;

function uptimeTicks(): number {
  return uptime() * 100;
}

function ownerOf(pid: number): number {
  try {
    return statSync(`/proc/${pid}`).uid;
  } catch {
    return 0;
  }
}
