import { type Machine, Refusal, requireGpu } from './machine.ts';
import { withMachineLock } from './machine-lock.ts';
import type { GpuState } from './machine-state.ts';
import { pause } from './pause.ts';
import { readState, writeState } from './state-file.ts';

/**
 * Makes one change, against the state as it is on disk at that moment.
 *
 * The lock is held for one change, not for the command: the driver serialises
 * its calls, so two commands in flight interleave instance by instance.
 */
export function changeGpu<T>(machine: Machine, uuid: string, change: (gpu: GpuState) => T): T {
  return withMachineLock(machine.directory, () => {
    machine.state = readState(machine.directory);
    const result = change(requireGpu(machine, uuid));
    if (machine.action.killSelf === 'before') process.kill(process.pid, 'SIGKILL');
    writeState(machine.directory, machine.state);
    return result;
  });
}

/** One instance more, or one less; the faults that count such steps act here. */
export function changeInstance<T>(machine: Machine, uuid: string, change: (gpu: GpuState) => T): T {
  const fails = machine.action.failStep;
  if (fails && fails.index === machine.stepsDone) throw new StepFailure(fails.text, fails.exitCode ?? 255);
  const result = changeGpu(machine, uuid, change);
  machine.stepsDone += 1;
  return result;
}

/** To be called once the step is printed: its line goes out at once, as a caller may not let the rest happen. */
export function endStep(machine: Machine): void {
  const { dieAfterSteps, stepDelayMs, garbage, truncateBytes, killSelf } = machine.action;
  if (garbage === undefined && truncateBytes === undefined && killSelf === undefined) machine.answer.flush((text) => text, 1);
  if (dieAfterSteps !== undefined && machine.stepsDone >= dieAfterSteps) process.kill(process.pid, 'SIGKILL');
  pause(stepDelayMs ?? 0);
}

/** Why one instance could not be created or destroyed; `text` is NVML's wording. */
export class StepFailure extends Error {
  override name = 'StepFailure';
  readonly text: string;
  readonly exitCode: number;
  constructor(text: string, exitCode: number) {
    super(text);
    this.text = text;
    this.exitCode = exitCode;
  }
}

/** Runs a step and turns its failure into the two lines the tool prints. */
export function orRefuse<T>(detail: string, summary: string, step: () => T): T {
  try {
    return step();
  } catch (error) {
    if (!(error instanceof StepFailure)) throw error;
    throw new Refusal(error.exitCode, `${detail}: ${error.text}`, `${summary}: ${error.text}`);
  }
}
