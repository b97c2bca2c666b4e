import { spawn } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { link, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { LaunchRequest, ProcessLauncher, ProcessState } from '../app/ports.ts';
import { processesByAllocation, readProc } from './proc.ts';

const supervisor = join(import.meta.dirname, 'supervisor.sh');

/** The command could not be started at all. */
export class StartFault extends Error {
  override name = 'StartFault';
}

interface Owner {
  readonly pid: number;
  readonly startTime: string;
  readonly bootId: string;
  readonly atMs: number;
}

/**
 * Starts workload commands under a supervisor of their own, outside the agent's session.
 *
 * `<directory>/<allocation>/` holds `owner` (pid, start time and boot id of the supervisor), `output.log`, and `exit`
 * once the command has ended. `<directory>/ended/<allocation>.log` keeps the output of forgotten ones for a while.
 */
export class LocalLauncher implements ProcessLauncher {
  readonly #directory: string;
  readonly #bootId: string;
  readonly #environment: Readonly<Record<string, string>>;
  readonly #onExit: () => void;
  readonly #endedMax: number;

  constructor(deps: {
    readonly directory: string;
    readonly bootId: string;
    /** What every workload inherits; the agent's own environment is not passed on. */
    readonly environment: Readonly<Record<string, string>>;
    readonly onExit: () => void;
    /** How many outputs of forgotten allocations are kept. */
    readonly endedMax?: number;
  }) {
    this.#directory = deps.directory;
    this.#bootId = deps.bootId;
    this.#environment = deps.environment;
    this.#onExit = deps.onExit;
    this.#endedMax = deps.endedMax ?? 2000;
  }

  async start(request: LaunchRequest): Promise<void> {
    const directory = this.#of(request.allocation);
    const own = this.directoryOf(request.allocation);
    await mkdir(own, { recursive: true, mode: 0o700 });
    const workdir = request.workingDirectory ?? own;
    const found = await stat(workdir).catch(() => undefined);
    if (found?.isDirectory() !== true) throw new StartFault(`the working directory ${workdir} does not exist on this node`);
    const child = spawn('/bin/sh', [supervisor, directory, this.#bootId, workdir, ...request.command], {
      detached: true,
      stdio: 'ignore',
      cwd: '/',
      env: { ...this.#environment, ...request.environment },
    });
    child.on('exit', this.#onExit);
    const spawned = new Promise<void>((resolve, reject) => {
      child.on('spawn', resolve);
      child.on('error', (cause) => reject(new StartFault(`the command could not be started: ${cause.message}`, { cause })));
    });
    child.unref();
    await spawned;
    // From here on the files tell; before the supervisor has signed them, a second look would take it for absent.
    while ((await this.#owner(request.allocation)) === undefined && child.exitCode === null && child.signalCode === null) await pause(2);
  }

  directoryOf(allocation: string): string {
    return join(this.#of(allocation), 'work');
  }

  async bar(allocation: string): Promise<boolean> {
    const directory = this.#of(allocation);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const draft = join(directory, 'owner.agent');
    await writeFile(draft, `0 0 ${this.#bootId}\n`);
    try {
      await link(draft, join(directory, 'owner'));
      return true;
    } catch {
      return false;
    } finally {
      await rm(draft, { force: true });
    }
  }

  async state(allocation: string): Promise<ProcessState> {
    const owner = await this.#owner(allocation);
    const exit = await this.#exit(allocation);
    const alive = owner !== undefined && owner.bootId === this.#bootId && (await isAlive(owner));
    // The supervisor carries the devices in its environment too: it has let go of them only when it is gone.
    if (exit !== undefined && !alive) return { kind: 'exited', exitCode: exit.code, startedAtMs: owner?.atMs, endedAtMs: exit.atMs };
    if (owner === undefined) return { kind: 'absent' };
    if (alive) return { kind: 'running', pid: owner.pid, startedAtMs: owner.atMs };
    // It may have ended between the two looks.
    const late = await this.#exit(allocation);
    if (late !== undefined) return { kind: 'exited', exitCode: late.code, startedAtMs: owner.atMs, endedAtMs: late.atMs };
    return { kind: 'lost', startedAtMs: owner.atMs, rebooted: owner.bootId !== this.#bootId };
  }

  async pidsByAllocation(): Promise<ReadonlyMap<string, readonly number[]>> {
    const known = await this.known();
    const sessions = new Map<number, string>();
    for (const allocation of known) {
      const owner = await this.#owner(allocation);
      if (owner !== undefined && owner.bootId === this.#bootId && (await isAlive(owner))) sessions.set(owner.pid, allocation);
    }
    return processesByAllocation(sessions, new Set(known));
  }

  async membersOf(allocation: string): Promise<readonly number[]> {
    const owner = await this.#owner(allocation);
    const alive = owner !== undefined && owner.bootId === this.#bootId && (await isAlive(owner));
    // A dead supervisor's number stays its session's while members live; once another process has it, none do.
    const session = owner !== undefined && owner.bootId === this.#bootId && (alive || (await readProc(owner.pid)) === undefined);
    const sessions = new Map(session ? [[owner.pid, allocation]] : []);
    const pids = (await processesByAllocation(sessions, new Set([allocation]))).get(allocation) ?? [];
    return alive ? pids.filter((pid) => pid !== owner.pid) : pids;
  }

  async signal(allocation: string, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    for (const pid of await this.membersOf(allocation)) {
      try {
        process.kill(pid, signal);
      } catch {
        // Gone meanwhile.
      }
    }
  }

  async known(): Promise<readonly string[]> {
    const entries = await readdir(this.#directory, { withFileTypes: true }).catch(() => []);
    return entries.filter((entry) => entry.isDirectory() && entry.name !== 'ended').map((entry) => entry.name);
  }

  async forget(allocation: string): Promise<void> {
    const ended = join(this.#directory, 'ended');
    await mkdir(ended, { recursive: true, mode: 0o700 });
    await rename(join(this.#of(allocation), 'output.log'), join(ended, `${allocation}.log`)).catch(() => undefined);
    await rm(this.#of(allocation), { recursive: true, force: true });
    await this.#trim(ended);
  }

  /** The output of an allocation, also of a forgotten one; `undefined` when there is none. */
  async output(allocation: string, offset: number): Promise<{ readonly size: number; read(end: number): AsyncIterable<Uint8Array> } | undefined> {
    for (const file of [join(this.#of(allocation), 'output.log'), join(this.#directory, 'ended', `${allocation}.log`)]) {
      const found = await stat(file).catch(() => undefined);
      if (found === undefined) continue;
      return { size: found.size, read: (end) => createReadStream(file, { start: offset, end: end - 1 }) };
    }
    return undefined;
  }

  async #trim(ended: string): Promise<void> {
    const names = await readdir(ended);
    if (names.length <= this.#endedMax * 1.1) return;
    const aged = await Promise.all(names.map(async (name) => ({ name, atMs: (await stat(join(ended, name)).catch(() => undefined))?.mtimeMs ?? 0 })));
    aged.sort((a, b) => a.atMs - b.atMs);
    for (const { name } of aged.slice(0, names.length - this.#endedMax)) await rm(join(ended, name), { force: true });
  }

  #of(allocation: string): string {
    return join(this.#directory, allocation);
  }

  async #owner(allocation: string): Promise<Owner | undefined> {
    const file = join(this.#of(allocation), 'owner');
    try {
      const [text, facts] = await Promise.all([readFile(file, 'latin1'), stat(file)]);
      const [pid, startTime, bootId] = text.trim().split(' ');
      if (startTime === undefined || bootId === undefined) return undefined;
      return { pid: Number(pid), startTime, bootId, atMs: Math.round(facts.mtimeMs) };
    } catch {
      return undefined;
    }
  }

  async #exit(allocation: string): Promise<{ readonly code: number; readonly atMs: number } | undefined> {
    const file = join(this.#of(allocation), 'exit');
    try {
      const [text, facts] = await Promise.all([readFile(file, 'latin1'), stat(file)]);
      const code = Number.parseInt(text, 10);
      return Number.isNaN(code) ? undefined : { code, atMs: Math.round(facts.mtimeMs) };
    } catch {
      return undefined;
    }
  }
}

async function isAlive(owner: Owner): Promise<boolean> {
  const fact = await readProc(owner.pid);
  return fact !== undefined && !fact.zombie && fact.startTime === owner.startTime;
}
