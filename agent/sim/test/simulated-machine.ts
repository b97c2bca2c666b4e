import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import {
  type CreatedMachine,
  createMachine,
  type Faults,
  type MachineHealth,
  type MachineOrder,
  type MachineState,
} from '../src/create.ts';

export interface Ran {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly pid: number;
  readonly kill: (signal: NodeJS.Signals) => void;
  /** Closes our end of its standard output. */
  readonly stopReading: () => void;
  /** What it printed so far. */
  readonly output: () => string;
  readonly ended: Promise<Ran>;
}

export function running(child: ChildProcessByStdio<Writable | null, Readable, Readable>): Running {
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<Ran>((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  return {
    pid: child.pid ?? 0,
    kill: (signal) => child.kill(signal),
    stopReading: () => child.stdout.destroy(),
    output: () => stdout,
    ended,
  };
}

/** Waits until `found` finds something; the test's own time limit ends a wait in vain. */
export async function until<T>(found: () => T | undefined | false): Promise<T> {
  for (;;) {
    const value = found();
    if (value !== undefined && value !== false) return value;
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
}

/** A machine in a directory of its own, gone with the test. */
export class SimulatedMachine implements Disposable {
  readonly created: CreatedMachine;

  constructor(order: Partial<MachineOrder> = {}) {
    const directory = mkdtempSync(join(tmpdir(), 'astrago-sim-'));
    this.created = createMachine({ directory, model: 'h100-80gb', gpuCount: 1, seed: directory, ...order });
  }

  run(command: string): Ran {
    const result = spawnSync(this.created.nvidiaSmi, words(command), { encoding: 'utf8' });
    return { code: result.status, signal: result.signal, stdout: result.stdout, stderr: result.stderr };
  }

  /** Runs beside others; resolves when it ended. */
  start(command: string): Running {
    return running(spawn(this.created.nvidiaSmi, words(command), { stdio: ['ignore', 'pipe', 'pipe'] }));
  }

  /** A stand-in for a workload: a process that sees the given device and does nothing. */
  attach(environment: Readonly<Record<string, string>>): Disposable & { readonly pid: number } {
    const child = spawn('sleep', ['600'], { env: { PATH: process.env['PATH'], ...environment }, stdio: 'ignore' });
    return { pid: child.pid ?? 0, [Symbol.dispose]: () => child.kill('SIGKILL') };
  }

  setFaults(faults: Faults): void {
    writeFileSync(this.created.faultsFile, JSON.stringify(faults));
    rmSync(join(this.created.directory, 'fault-counts.json'), { force: true });
  }

  setHealth(health: MachineHealth): void {
    writeFileSync(this.created.healthFile, JSON.stringify(health));
  }

  /** Waits until the first rule, one that is counted, was met so often, and the call that met it had time to act. */
  async met(times: number): Promise<void> {
    await until(() => {
      try {
        const counts = JSON.parse(readFileSync(join(this.created.directory, 'fault-counts.json'), 'utf8')) as {
          matches: Record<string, number>;
        };
        return (counts.matches['0'] ?? 0) >= times;
      } catch {
        return false;
      }
    });
    await new Promise((resolve) => setTimeout(resolve, 300));
  }

  state(): MachineState {
    return JSON.parse(readFileSync(this.created.stateFile, 'utf8')) as MachineState;
  }

  [Symbol.dispose](): void {
    rmSync(this.created.directory, { recursive: true, force: true });
  }
}

function words(command: string): readonly string[] {
  return command.split(' ').filter((word) => word !== '');
}
