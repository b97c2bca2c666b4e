// The agent as it is run: a process of its own, with an environment of its own.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { until } from './until.ts';

export class AgentProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  #log = '';

  /** Spawns it with nothing in its environment but what is given and where programs are found. */
  constructor(environment: Readonly<Record<string, string>>) {
    this.#child = spawn(process.execPath, [join(import.meta.dirname, '..', 'main.ts')], {
      env: { PATH: process.env['PATH'], ...environment },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#log += chunk.toString();
    });
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('the agent could not be spawned');
    return this.#child.pid;
  }

  /** What it has written. */
  get log(): string {
    return this.#log;
  }

  /** Where it takes orders and is scraped, as soon as it says that it is up; throws when it ends before. */
  async up(): Promise<{ readonly address: string; readonly metricsPort: number }> {
    return until(() => {
      const line = this.#log.split('\n').find((text) => text.includes('the agent is up'));
      if (line !== undefined) return JSON.parse(line) as { address: string; metricsPort: number };
      if (this.#hasEnded) throw new Error('the agent has ended');
      return undefined;
    }, 'the agent is up').catch((cause: unknown) => {
      throw new Error(`the agent does not come up:\n${this.#log}`, { cause });
    });
  }

  /** Returns when the process is gone and all it wrote is read, at once if it had ended before. */
  async ended(): Promise<{ readonly exitCode: number | null; readonly signal: NodeJS.Signals | null }> {
    if (!this.#hasEnded) await once(this.#child, 'close');
    return { exitCode: this.#child.exitCode, signal: this.#child.signalCode };
  }

  /** Returns when the process is gone. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (this.#hasEnded) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill(signal);
    await gone;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  get #hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }
}
