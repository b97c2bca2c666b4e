// Keeps one program running: starts it again when it ends, later and later while it does not get well.

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, renameSync, statSync } from 'node:fs';
import type { Clock } from '@astrago/shared/runtime/clock';
import { identify, type ProcessIdentity } from '../locate/process-identity.ts';

export interface SupervisedOptions {
  readonly name: string;
  readonly script: string;
  readonly arguments?: readonly string[];
  /** Asked at every start: addresses may have changed. */
  readonly environment: () => NodeJS.ProcessEnv;
  readonly logFile: string;
  readonly clock: Clock;
  /** Alive for this long counts as well. */
  readonly wellAfterMs: number;
  readonly backOffMs?: { readonly first: number; readonly max: number };
  /** So many ends in a row, each before it was well and of its own doing, and it is given up. */
  readonly failuresMax: number;
  readonly stopGraceMs: number;
  onStart(identity: ProcessIdentity): Promise<void> | void;
  onEnd(text: string): void;
}

export type SupervisedEnd = { readonly kind: 'stopped' } | { readonly kind: 'gave-up'; readonly name: string; readonly text: string };

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class Supervised {
  readonly name: string;
  readonly #options: SupervisedOptions;
  #child: ChildProcess | undefined;
  #well = false;

  constructor(options: SupervisedOptions) {
    this.name = options.name;
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Said by whoever has seen it work, so that its end is not counted as a failure to start. */
  markWell(): void {
    this.#well = true;
  }

  /** Ends it; the loop starts it again at once. */
  restart(): void {
    this.#well = true;
    this.#child?.kill('SIGTERM');
  }

  /** Until the signal is aborted and the program has ended, or it is given up. */
  async run(signal: AbortSignal): Promise<SupervisedEnd> {
    const { clock, failuresMax, name } = this.#options;
    const backOff = this.#options.backOffMs ?? { first: 200, max: 10_000 };
    let failures = 0;
    let delayMs = backOff.first;
    while (!signal.aborted) {
      const startedMs = clock.elapsedMs();
      this.#well = false;
      const ended = await this.#once(signal);
      if (signal.aborted) break;
      const well = this.#well || clock.elapsedMs() - startedMs >= this.#options.wellAfterMs;
      // Killed from outside says nothing about whether it can start.
      failures = well || ended.signal !== null ? 0 : failures + 1;
      delayMs = well ? backOff.first : Math.min(backOff.max, delayMs * 2);
      const how = ended.signal === null ? `ended with exit code ${ended.code}` : `was killed by ${ended.signal}`;
      if (failures >= failuresMax) return { kind: 'gave-up', name, text: `${name} ${how}, ${failures} times in a row` };
      this.#options.onEnd(`${name} ${how}; starting it again in ${delayMs} ms`);
      await clock.sleep(delayMs, signal);
    }
    return { kind: 'stopped' };
  }

  async #once(signal: AbortSignal): Promise<Ended> {
    const { script, logFile } = this.#options;
    const log = openLog(logFile);
    let child: ChildProcess;
    try {
      // A session of its own: Ctrl-C in the terminal reaches the supervisor alone, which ends things in order.
      child = spawn(process.execPath, [script, ...(this.#options.arguments ?? [])], {
        env: this.#options.environment(),
        stdio: ['ignore', log, log],
        detached: true,
      });
    } finally {
      closeSync(log);
    }
    this.#child = child;
    const ended = new Promise<Ended>((resolve) => {
      child.once('exit', (code, killed) => resolve({ code, signal: killed }));
      child.once('error', () => resolve({ code: 127, signal: null }));
    });
    const stop = (): void => {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), this.#options.stopGraceMs);
      child.once('exit', () => clearTimeout(timer));
    };
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    try {
      const identity = child.pid === undefined ? undefined : identify(child.pid);
      if (identity !== undefined) await this.#options.onStart(identity);
      return await ended;
    } finally {
      signal.removeEventListener('abort', stop);
      this.#child = undefined;
    }
  }
}

const logBytesMax = 32 * 1024 * 1024;

/** For appending; a log that has grown large is put aside first. */
function openLog(file: string): number {
  try {
    if (statSync(file).size > logBytesMax) renameSync(file, `${file}.1`);
  } catch {
    // There is none yet.
  }
  return openSync(file, 'a', 0o600);
}
