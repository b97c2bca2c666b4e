import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Ran, type Running, running, type SimulatedMachine } from './simulated-machine.ts';

/** A pipe and a log directory with short paths, and everything that was started with them. */
export class MpsSite implements Disposable {
  readonly root = mkdtempSync(join(tmpdir(), 'mps-'));
  readonly pipe = join(this.root, 'p');
  readonly log = join(this.root, 'l');
  readonly #machine: SimulatedMachine;
  readonly #children: ChildProcess[] = [];

  constructor(machine: SimulatedMachine) {
    this.#machine = machine;
  }

  /** `nvidia-cuda-mps-control -d` for the devices that are given. */
  start(devices?: string, environment: Readonly<Record<string, string>> = {}): Ran {
    return this.#control(['-d'], '', { ...(devices === undefined ? {} : { CUDA_VISIBLE_DEVICES: devices }), ...environment });
  }

  /** Commands, one a line. */
  tell(...lines: readonly string[]): Ran {
    return this.#control([], `${lines.join('\n')}\n`, {});
  }

  /** A command for the daemon of another directory. */
  tellAt(pipe: string, line: string): Ran {
    return this.#control([], `${line}\n`, { CUDA_MPS_PIPE_DIRECTORY: pipe });
  }

  say(line: string): string {
    return this.tell(line).stdout.trimEnd();
  }

  /** A call beside others, with something on its standard input. */
  control(args: readonly string[], input = ''): Running {
    const child = spawn(this.#machine.created.mpsControl, args, { env: this.environment({}), stdio: ['pipe', 'pipe', 'pipe'] });
    this.#children.push(child);
    child.stdin.end(input);
    return running(child);
  }

  server(): number | undefined {
    return Number(this.say('get_server_list')) || undefined;
  }

  clients(): readonly number[] {
    return this.say(`get_client_list ${this.server()}`).split('\n').filter(Boolean).map(Number);
  }

  /** The client program, with what it prints. */
  client(environment: Readonly<Record<string, string>> = {}, args: readonly string[] = []): Running {
    const child = spawn(this.#machine.created.cudaClient, args, { env: this.environment(environment), stdio: ['ignore', 'pipe', 'pipe'] });
    this.#children.push(child);
    return running(child);
  }

  /** A process that only has the environment of a client. */
  silent(environment: Readonly<Record<string, string>> = {}): number {
    const child = spawn('sleep', ['600'], { env: this.environment(environment), stdio: 'ignore' });
    this.#children.push(child);
    return child.pid ?? 0;
  }

  kill(pid: number): void {
    this.#children.find((child) => child.pid === pid)?.kill('SIGKILL');
  }

  daemonPid(): number {
    return Number(readFileSync(join(this.pipe, 'nvidia-cuda-mps-control.pid'), 'utf8'));
  }

  logged(file: 'control.log' | 'server.log'): string {
    return readFileSync(join(this.log, file), 'utf8');
  }

  environment(more: Readonly<Record<string, string>>): Record<string, string> {
    return { PATH: process.env['PATH'] ?? '', CUDA_MPS_PIPE_DIRECTORY: this.pipe, CUDA_MPS_LOG_DIRECTORY: this.log, ...more };
  }

  #control(args: readonly string[], input: string, environment: Readonly<Record<string, string>>): Ran {
    const ran = spawnSync(this.#machine.created.mpsControl, args, { input, encoding: 'utf8', env: this.environment(environment) });
    return { code: ran.status, signal: ran.signal, stdout: ran.stdout, stderr: ran.stderr };
  }

  [Symbol.dispose](): void {
    this.#machine.setFaults({});
    for (const child of this.#children) child.kill('SIGKILL');
    this.tell('quit -t 0');
    rmSync(this.root, { recursive: true, force: true });
  }
}
