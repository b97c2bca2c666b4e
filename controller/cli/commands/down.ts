import { existsSync, realpathSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { connect } from '../connect.ts';
import { answer, type CommandContext } from '../context.ts';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import { readClusterFile } from '../locate/cluster-file.ts';
import { dataDirectory, dataFiles } from '../locate/data-directory.ts';
import { isAlive, signalProcess } from '../locate/process-identity.ts';
import { plural } from '../show/quantity.ts';
import { endLeftovers, endStaleDaemons } from '../up/clean-up.ts';
import { lockHolder } from '../up/lock.ts';
import { everythingOf } from '../up/proc-scan.ts';
import { ourPrograms, type Programs } from '../up/programs.ts';
import { type Stopped, stopWorkloads } from '../up/stop-workloads.ts';

export interface DownInput {
  readonly timeout: number;
}

/** Stops in order: workloads, then the supervisor with agents and controller, then whatever a killed supervisor has left. */
export async function down(context: CommandContext, input: DownInput, programs: Programs = ourPrograms): Promise<ExitCode> {
  const named = dataDirectory(context.choice.data, context.environment);
  const directory = existsSync(named) ? realpathSync(named) : named;
  const files = dataFiles(directory);
  const supervisor = await lockHolder(files.supervisor);
  const processes = existsSync(directory) ? everythingOf(directory).length : 0;
  if (supervisor === undefined && processes === 0) {
    answer(context, { data: directory, running: false }, () => `Nothing runs in ${directory}.`);
    return exitCodes.ok;
  }

  const tell = (text: string): void => context.terminal.remark(text);
  const workloads = await endWorkloads(context, directory, input.timeout * 1000);
  if (supervisor !== undefined) {
    signalProcess(supervisor, 'SIGTERM');
    const untilMs = context.clock.elapsedMs() + 60_000;
    while (isAlive(supervisor) && context.clock.elapsedMs() < untilMs) await context.clock.sleep(50);
    if (signalProcess(supervisor, 'SIGKILL')) tell('The supervisor did not end in time and was killed.');
  }
  await endStaleDaemons(directory, { programs, clock: context.clock });
  await endLeftovers(directory, { clock: context.clock, tell });
  await Promise.all([files.cluster, files.controller, files.supervisor].map((file) => rm(file, { force: true })));

  const stopped = workloads?.stopped ?? 0;
  const left = everythingOf(directory).length;
  answer(context, { data: directory, running: left > 0, workloadsStopped: stopped, workloadsKilled: workloads?.left ?? [] }, () =>
    left === 0
      ? `Stopped: ${plural(stopped, 'workload')} ended, no process is left. The data stays in ${directory}.`
      : `${plural(left, 'process', 'processes')} could not be ended.`,
  );
  return left === 0 ? exitCodes.ok : exitCodes.failed;
}

/** `undefined` when no controller answers; what still runs is then ended by force. */
async function endWorkloads(context: CommandContext, directory: string, limitMs: number): Promise<Stopped | undefined> {
  if ((await readClusterFile(directory)) === undefined) return undefined;
  try {
    const client = await connect({ data: directory }, { ...context, environment: {} }, { timeoutMs: 5000, retryDelaysMs: [200, 500] });
    const told = await stopWorkloads(client, { clock: context.clock, limitMs });
    if (told.left.length > 0) context.terminal.remark(`Did not end in time and will be killed: ${told.left.join(', ')}.`);
    return told;
  } catch {
    context.terminal.remark('The controller does not answer; workloads are ended by force.');
    return undefined;
  }
}
