import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';

/** One program of ours as a real process that can be killed and started again; its output goes to a file. */
export class Daemon implements AsyncDisposable {
  readonly name: string;
  readonly logFile: string;
  #child: ChildProcess | undefined;
  readonly #program: string;
  readonly #environment: () => Readonly<Record<string, string>>;

  constructor(facts: {
    readonly name: string;
    readonly program: string;
    readonly logFile: string;
    readonly environment: () => Readonly<Record<string, string>>;
  }) {
    this.name = facts.name;
    this.#program = facts.program;
    this.logFile = facts.logFile;
    this.#environment = facts.environment;
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error(`${this.name} does not run`);
    return pid;
  }

  get running(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  start(): void {
    if (this.running) throw new Error(`${this.name} runs already`);
    const log = openSync(this.logFile, 'a');
    this.#child = spawn(process.execPath, [this.#program], { env: { ...this.#environment() }, stdio: ['ignore', log, log] });
    closeSync(log);
  }

  /** Kills without mercy and returns when the process is gone. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (child === undefined || !this.running) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}
