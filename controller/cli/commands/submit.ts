import type { SubmitWorkloadInput, Workload } from '@astrago/api';
import type { Client } from '@astrago/api/client';
import { answer, type CommandContext } from '../context.ts';
import { exitCodes } from '../exit-codes.ts';
import { usageFailure } from '../failure.ts';
import { placeText } from '../show/ask.ts';

export interface SubmitInput {
  readonly name: string;
  readonly command: readonly string[];
  readonly slice?: string;
  readonly gpus?: number;
  readonly model?: string;
  readonly cpus?: number;
  readonly memory?: number;
  readonly workspace?: string;
  readonly priority?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly restartable?: boolean;
  readonly wait?: boolean;
  readonly timeout?: number;
}

export async function submit(context: CommandContext, input: SubmitInput): Promise<number> {
  if (input.command.length === 0)
    throw usageFailure('There is no command to run.', 'Put it after --: astrago submit train-a --slice 1g.10gb -- python train.py');
  // Whoever waits also waits for a controller that is being restarted.
  const client = await context.connect(input.wait === true ? { retryDelaysMs: [100, 300, 1000, 2000, 5000, 10_000, 10_000] } : {});
  const workload = await client.submitWorkload({ body: bodyOf(input) });
  if (input.wait !== true) {
    answer(context, workload, () => lineOf(workload));
    return exitCodes.ok;
  }
  return waitFor(context, client, workload, input.timeout);
}

function bodyOf(input: SubmitInput): SubmitWorkloadInput {
  return {
    name: input.name,
    command: [...input.command],
    slice: input.slice,
    gpus: input.gpus,
    model: input.model,
    cpuMilli: input.cpus,
    memoryMiB: input.memory,
    workspace: input.workspace,
    priority: input.priority,
    restartable: input.restartable,
    environment: input.env === undefined ? undefined : { ...input.env },
  };
}

/** Follows it by id, tells each change, and ends as the workload did. Ctrl-C ends the waiting only. */
async function waitFor(context: CommandContext, client: Client, submitted: Workload, timeoutSeconds: number | undefined): Promise<number> {
  const signal = context.interrupt();
  const untilMs = timeoutSeconds === undefined ? Number.POSITIVE_INFINITY : context.clock.elapsedMs() + timeoutSeconds * 1000;
  let workload = submitted;
  let told = '';
  let periodMs = 100;
  const leave = (exitCode: number, why: string): number => {
    context.terminal.remark(`${why} ${workload.name} goes on (${workload.phase}); end it with astrago stop ${workload.name}.`);
    if (context.json) answer(context, workload, () => '');
    return exitCode;
  };
  while (workload.endedAtMs === undefined) {
    const line = lineOf(workload);
    if (line !== told) context.terminal.remark(line);
    told = line;
    if (context.clock.elapsedMs() >= untilMs) return leave(exitCodes.waitedTooLong, `Waited ${timeoutSeconds} s.`);
    await context.clock.sleep(Math.min(periodMs, Math.max(1, untilMs - context.clock.elapsedMs())), signal);
    if (signal.aborted) return leave(exitCodes.interrupted, 'Stopped waiting.');
    periodMs = Math.min(1000, periodMs * 1.3);
    workload = await client.getWorkload({ params: { workload: submitted.id } });
  }
  answer(context, workload, () => lineOf(workload));
  if (workload.phase === 'succeeded') return exitCodes.ok;
  // A workload that ended with code 0 on being stopped did not do what was waited for.
  return workload.exitCode === undefined || workload.exitCode === 0 ? exitCodes.workloadEndedBadly : workload.exitCode;
}

function lineOf(workload: Workload): string {
  const place = placeText(workload);
  const where = place === undefined || workload.endedAtMs !== undefined ? '' : ` on ${place}`;
  const code = workload.exitCode === undefined ? '' : ` with exit code ${workload.exitCode}`;
  // Not looked at yet is what a line about something just queued says anyway, and a code is already named.
  const because =
    workload.reason === 'PendingEvaluation' || workload.reason === 'command-failed' ? undefined : (workload.detail ?? workload.reason);
  return `${workload.name} ${workload.phase}${where}${code}${because === undefined ? '' : `: ${because}`}`;
}
