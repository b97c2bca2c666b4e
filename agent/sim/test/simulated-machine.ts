import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CreatedMachine, createMachine, type Faults, type MachineOrder, type MachineState } from '../src/create.ts';

export interface Ran {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
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
  start(command: string): { readonly kill: (signal: NodeJS.Signals) => void; readonly ended: Promise<Ran> } {
    const child = spawn(this.created.nvidiaSmi, words(command), { stdio: ['ignore', 'pipe', 'pipe'] });
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
    return { kill: (signal) => child.kill(signal), ended };
  }

  /** A stand-in for a workload: a process that sees the given device and does nothing. */
  attach(environment: Readonly<Record<string, string>>): Disposable & { readonly pid: number } {
    const child = spawn('sleep', ['600'], { env: { PATH: process.env['PATH'], ...environment }, stdio: 'ignore' });
    return { pid: child.pid ?? 0, [Symbol.dispose]: () => child.kill('SIGKILL') };
  }

  setFaults(faults: Faults): void {
    writeFileSync(this.created.faultsFile, JSON.stringify(faults));
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
