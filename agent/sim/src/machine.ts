import type { Answer } from './answer.ts';
import type { FaultAction, Faults } from './faults.ts';
import type { GpuModel } from './gpu-model.ts';
import type { MachineHealth } from './health.ts';
import type { GpuState, MachineState } from './machine-state.ts';

/** Everything one call works with. */
export interface Machine {
  readonly directory: string;
  readonly dataDirectory: string;
  readonly model: GpuModel;
  readonly driver: Driver;
  /** As read when the call began, replaced by each change the call makes. */
  state: MachineState;
  readonly faults: Faults;
  readonly health: MachineHealth;
  /** All rules that apply to this call, laid over each other. */
  readonly action: FaultAction;
  readonly answer: Answer;
  /** 0 for a call that runs once, and for the first round of a loop. */
  readonly round: number;
  /** Instances created or destroyed so far by this call. */
  stepsDone: number;
  /** GPUs that a fault declares held by a client nobody can see. */
  readonly busyGpus: ReadonlySet<string>;
}

export interface Driver {
  readonly version: string;
  readonly major: number;
}

export function parseDriver(version: string): Driver {
  return { version, major: Number.parseInt(version, 10) };
}

/** A refusal: its lines, and the exit code. */
export class Refusal extends Error {
  override name = 'Refusal';
  readonly lines: readonly string[];
  readonly exitCode: number;
  constructor(exitCode: number, ...lines: readonly string[]) {
    super(lines.join('\n'));
    this.lines = lines;
    this.exitCode = exitCode;
  }
}

// Those of NVML where no recording shows the code; `behaviour.exitCodes` overrides.
const defaultExitCodes = { 'in-use': 19, insufficient: 23, invalid: 2, 'not-found': 6, warning: 1, permission: 4 };

export type ExitReason = keyof typeof defaultExitCodes;

export function exitCodeFor(machine: Machine, reason: ExitReason): number {
  return machine.faults.behaviour?.exitCodes?.[reason] ?? defaultExitCodes[reason];
}

export function requireRoot(machine: Machine, ...lines: readonly string[]): void {
  if (machine.faults.behaviour?.unprivileged) throw new Refusal(exitCodeFor(machine, 'permission'), ...lines);
}

export function requireGpu(machine: Machine, uuid: string): GpuState {
  const gpu = machine.state.gpus.find((candidate) => candidate.uuid === uuid);
  if (!gpu) throw new Error(`no GPU ${uuid} in the state`);
  return gpu;
}
