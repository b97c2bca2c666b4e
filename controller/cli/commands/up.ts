import { mkdirSync, realpathSync } from 'node:fs';
import { hostname } from 'node:os';
import { cliVersion } from '../cli-version.ts';
import { answer, type CommandContext } from '../context.ts';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import { CommandFailure } from '../failure.ts';
import { dataDirectory, dataFiles } from '../locate/data-directory.ts';
import { readJsonFile } from '../locate/json-file.ts';
import { type ClusterPlan, type PlanFlags, parsePlan, planCluster } from '../up/cluster-plan.ts';
import { detach } from '../up/detach.ts';
import { machineHasGpus } from '../up/find-gpus.ts';
import { lockHolder } from '../up/lock.ts';
import { ourPrograms, type Programs } from '../up/programs.ts';
import { type ClusterStatus, clusterStatus, statusText } from '../up/status.ts';
import { supervise } from '../up/supervise.ts';

export interface UpInput extends PlanFlags {
  readonly detach?: boolean;
}

export async function up(context: CommandContext, input: UpInput, programs: Programs = ourPrograms): Promise<ExitCode> {
  const named = dataDirectory(context.choice.data, context.environment);
  mkdirSync(named, { recursive: true, mode: 0o700 });
  const directory = realpathSync(named);
  const plan = await planFor(directory, context, input);

  if ((await lockHolder(dataFiles(directory).supervisor)) !== undefined) return showRunning(context, directory, input, plan);
  const order = { directory, plan, programs, version: cliVersion() };
  const signal = context.interrupt();
  if (input.detach === true) {
    const outcome = await detach(order, { environment: context.environment, signal, tell: (text) => context.terminal.remark(text) });
    if (outcome === 'interrupted') return exitCodes.interrupted;
    return showRunning(context, directory, input, plan);
  }

  const outcome = await supervise(
    { ...order, clock: context.clock, environment: context.environment },
    {
      signal,
      tell: (text) => context.terminal.remark(text),
      onReady: () => void clusterStatus(directory).then((status) => status && show(context, status, true)),
    },
  );
  if (outcome === 'taken') return showRunning(context, directory, input, plan);
  context.terminal.remark('Stopped; no process is left.');
  return exitCodes.ok;
}

async function planFor(directory: string, context: CommandContext, flags: PlanFlags): Promise<ClusterPlan> {
  const recorded = parsePlan(await readJsonFile(dataFiles(directory).plan));
  const simulationAsked = flags.nodes !== undefined || flags.gpus !== undefined || flags.model !== undefined;
  const hasGpus = recorded === undefined && !simulationAsked && (await machineHasGpus(context.environment));
  const plan = planCluster(flags, recorded, { hostname: hostname(), hasGpus });
  if ('conflict' in plan) throw refusal(plan.conflict, plan.remedy);
  return plan;
}

/** Waits for one that is just being started by somebody else, and says the same as its start did. */
async function showRunning(context: CommandContext, directory: string, input: UpInput, plan: ClusterPlan): Promise<ExitCode> {
  const untilMs = context.clock.elapsedMs() + 120_000;
  for (;;) {
    const status = await clusterStatus(directory);
    if (status !== undefined) {
      const port = Number(new URL(status.url).port);
      if (input.port !== undefined && input.port !== 0 && input.port !== port)
        throw refusal(
          `The cluster in ${directory} already runs at ${status.url}.`,
          'Stop it with astrago down first, or leave --port away.',
        );
      if (plan.nodes.length > status.nodes.length)
        throw refusal(
          `The cluster in ${directory} runs with ${status.nodes.length} nodes.`,
          'Stop it with astrago down first; the next up adds the others.',
        );
      show(context, status, false);
      return exitCodes.ok;
    }
    const holder = await lockHolder(dataFiles(directory).supervisor);
    if (holder === undefined || context.clock.elapsedMs() >= untilMs) {
      throw new CommandFailure({
        code: 'not-ready',
        exitCode: exitCodes.failed,
        what: `The cluster in ${directory} is being started by another up, which has not got ready.`,
        remedy: `See ${dataFiles(directory).logs}, and stop it with astrago down.`,
      });
    }
    await context.clock.sleep(100);
  }
}

function show(context: CommandContext, status: ClusterStatus, attached: boolean): void {
  const prefix = context.choice.data === undefined ? './astrago' : `./astrago --data ${context.choice.data}`;
  answer(context, status, () => statusText(status, prefix, attached));
}

function refusal(what: string, remedy: string): CommandFailure {
  return new CommandFailure({ code: 'conflict', exitCode: exitCodes.refused, what, remedy });
}
