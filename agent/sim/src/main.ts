import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Answer } from './answer.ts';
import { actionNow, conditionRefusal, idsIn, spoiler } from './fault-action.ts';
import { readFaults } from './faults.ts';
import type { GpuModel } from './gpu-model.ts';
import { hang } from './hang.ts';
import { readHealth } from './health.ts';
import { loopPeriodMs } from './loop.ts';
import { type Machine, parseDriver, Refusal } from './machine.ts';
import { pause } from './pause.ts';
import { runCommand } from './run-command.ts';
import { selectGpus } from './selected-gpus.ts';
import { readState } from './state-file.ts';

/** One call of the simulated nvidia-smi: the state file, then what the caller typed. */
async function main(stateFile: string, args: readonly string[]): Promise<number> {
  const directory = dirname(stateFile);
  const { model, dataDirectory } = JSON.parse(readFileSync(join(directory, 'lib', 'model.json'), 'utf8')) as {
    model: GpuModel;
    dataDirectory: string;
  };
  if (args[0] === 'simulate' && args[1] === 'reboot') {
    const { reboot } = await import('./reboot.ts');
    reboot(directory, model);
    return 0;
  }
  const period = loopPeriodMs(args);
  for (let round = 0; ; round += 1) {
    const exitCode = await runRound({ directory, model, dataDirectory, round }, args);
    if (period === undefined || exitCode !== 0) return exitCode;
    // Blocks the thread: no timer, no handler, so a signal ends it on the spot.
    pause(period);
  }
}

/** A single call, or one round of a loop: state and faults are those of this moment. */
async function runRound(call: Pick<Machine, 'directory' | 'model' | 'dataDirectory' | 'round'>, args: readonly string[]): Promise<number> {
  const { directory } = call;
  const state = readState(directory);
  const faults = readFaults(directory);
  const selected = selectGpus(state.gpus, idsIn(args)) ?? [];
  const { action, busyGpus } = await actionNow(directory, faults, 'nvidia-smi', args, state.gpus, selected);
  const answer = new Answer();
  const driver = parseDriver(state.driverVersion);
  const health = readHealth(directory);
  const machine: Machine = { ...call, driver, state, faults, health, action, answer, stepsDone: 0, busyGpus };

  pause((faults.latencyMs ?? 0) + (action.delayMs ?? 0));
  if (action.hang) await hang();
  let exitCode: number;
  if (action.stdout !== undefined || action.stderr !== undefined) {
    answer.printRaw(action.stdout ?? '');
    answer.complainRaw(action.stderr ?? '');
    exitCode = 0;
  } else exitCode = await answerOrRefuse(machine, args);
  // Reached with `before` only by a call that changes nothing.
  if (action.killSelf) process.kill(process.pid, 'SIGKILL');
  answer.flush(spoiler(action), 1);
  return action.exitCode ?? exitCode;
}

async function answerOrRefuse(machine: Machine, args: readonly string[]): Promise<number> {
  try {
    const asksHelp = args.some((arg) => arg === '-h' || arg.startsWith('--help'));
    const refusal = asksHelp ? undefined : conditionRefusal(machine.faults, machine.driver);
    if (refusal) throw refusal;
    return await runCommand(machine, args);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    for (const line of error.lines) machine.answer.complain(line, machine.faults.behaviour?.errorStream ?? 'stdout');
    return error.exitCode;
  }
}

void main(process.argv[2] ?? '', process.argv.slice(3)).then((exitCode) => {
  process.exitCode = exitCode;
});
