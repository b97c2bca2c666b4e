import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Answer } from './answer.ts';
import { actionNow, conditionRefusal, idsIn, spoiler } from './fault-action.ts';
import { readFaults } from './faults.ts';
import type { GpuModel } from './gpu-model.ts';
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
  const state = readState(directory);
  if (args[0] === 'simulate' && args[1] === 'reboot') {
    const { reboot } = await import('./reboot.ts');
    reboot(directory, model);
    return 0;
  }
  const faults = readFaults(directory);
  const selected = selectGpus(state.gpus, idsIn(args)) ?? [];
  const { action, busyGpus } = await actionNow(directory, faults, args, state.gpus, selected);
  const answer = new Answer();
  const driver = parseDriver(state.driverVersion);
  const machine: Machine = { directory, dataDirectory, model, driver, state, faults, action, answer, stepsDone: 0, busyGpus };

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

/** As a call stuck in the driver: nothing but SIGKILL ends it. */
function hang(): Promise<never> {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);
  setInterval(() => undefined, 2 ** 30);
  return new Promise(() => undefined);
}

void main(process.argv[2] ?? '', process.argv.slice(3)).then((exitCode) => {
  process.exitCode = exitCode;
});
