import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '@astrago/shared/runtime/clock';
import type { MpsDaemonNow } from '#core/sharing/next-sharing-step';
import type { CudaDevice } from '../app/mps-control.ts';
import { daemonOf, identify, isAlive, type OwnProcess } from './daemon-processes.ts';

type Running = Extract<MpsDaemonNow, { kind: 'running' }>;

interface Answer {
  readonly answer: Running;
  readonly atMs: number;
  /** When its servers last said that they are well. */
  stateAtMs: number;
  readonly seen: string;
  /** Its servers and their clients, as they were when it answered. */
  readonly processes: readonly OwnProcess[];
}

/**
 * What daemons last said, for as long as nothing shows that it may be otherwise: asking costs processes, looking costs a
 * few files. A daemon is asked again when it, its socket or its server's log is another, when a server or client of it
 * has ended, when a server is anything but active, and in any case after `maxAgeMs`. A server logs who comes to it and
 * what befalls it; where its log cannot be seen nothing is remembered.
 */
export class LastAnswers {
  readonly #clock: Clock;
  readonly #maxAgeMs: number;
  readonly #answers = new Map<CudaDevice, Answer>();

  constructor(clock: Clock, maxAgeMs: number) {
    this.#clock = clock;
    this.#maxAgeMs = maxAgeMs;
  }

  /** @param directory of the daemon, in which it has its socket and `logs`. */
  get(device: CudaDevice, directory: string): Running | undefined {
    const known = this.#answers.get(device);
    if (known === undefined) return undefined;
    const holds =
      this.#clock.elapsedMs() - known.atMs < this.#maxAgeMs && known.processes.every(isAlive) && signsOf(directory) === known.seen;
    if (!holds) this.#answers.delete(device);
    return holds ? known.answer : undefined;
  }

  /** @param seen {@link signsOf} before it was asked: what changes under the questions is asked again. */
  set(device: CudaDevice, seen: string | undefined, answer: Running): void {
    this.#answers.delete(device);
    if (seen === undefined || answer.servers.some(({ state }) => state !== 'active')) return;
    const pids = answer.servers.flatMap(({ pid, clients }) => [pid, ...clients]);
    const processes = pids.map(identify).filter((found) => found !== undefined);
    // One has ended since.
    if (processes.length < pids.length) return;
    const atMs = this.#clock.elapsedMs();
    this.#answers.set(device, { answer, atMs, stateAtMs: atMs, seen, processes });
  }

  /** Ms since its servers last said how they are; 0 where nothing is remembered. */
  stateAgeMs(device: CudaDevice): number {
    const known = this.#answers.get(device);
    return known === undefined ? 0 : this.#clock.elapsedMs() - known.stateAtMs;
  }

  /** All servers have just said that they are active. */
  areWell(device: CudaDevice): void {
    const known = this.#answers.get(device);
    if (known !== undefined) known.stateAtMs = this.#clock.elapsedMs();
  }

  forget(device: CudaDevice): void {
    this.#answers.delete(device);
  }
}

/** Equal as long as daemon, socket and the log of its server are; `undefined` where one of them is not there. */
export function signsOf(directory: string): string | undefined {
  const daemon = daemonOf(directory);
  if (daemon === undefined) return undefined;
  try {
    const socket = statSync(join(directory, 'control'));
    const log = statSync(join(directory, 'logs', 'server.log'));
    return [daemon.pid, daemon.startTime, socket.ino, log.ino, log.size, log.mtimeMs].join(' ');
  } catch {
    return undefined;
  }
}
