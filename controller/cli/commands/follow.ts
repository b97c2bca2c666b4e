// Waiting for the end of what was submitted: one workload, or all members of a gang.
import type { Workload } from '@astrago/api';
import { answer, type CommandContext } from '../context.ts';
import { exitCodes } from '../exit-codes.ts';
import { placeText } from '../show/ask.ts';

export interface Followed {
  readonly name: string;
  readonly first: readonly Workload[];
  readonly look: (before: readonly Workload[]) => Promise<readonly Workload[]>;
  /** What is printed under --json. */
  readonly document: (now: readonly Workload[]) => unknown;
}

/** Tells each change, and ends as the work did: with the code of the first that did not succeed. Ctrl-C ends the waiting only. */
export async function follow(context: CommandContext, followed: Followed, timeoutSeconds: number | undefined): Promise<number> {
  const signal = context.interrupt();
  const untilMs = timeoutSeconds === undefined ? Number.POSITIVE_INFINITY : context.clock.elapsedMs() + timeoutSeconds * 1000;
  const told = new Map<string, string>();
  let work = followed.first;
  let periodMs = 100;
  const leave = (exitCode: number, why: string): number => {
    const phases = [...new Set(work.map(({ phase }) => phase))].join(', ');
    const { name } = followed;
    context.terminal.remark(`${why} ${name} goes on (${phases}); end it with astrago stop ${name}.`);
    if (context.json) answer(context, followed.document(work), () => '');
    return exitCode;
  };
  while (work.some(({ endedAtMs }) => endedAtMs === undefined)) {
    for (const one of work) {
      const line = lineOf(one);
      if (line !== told.get(one.id) && one.endedAtMs === undefined) context.terminal.remark(line);
      told.set(one.id, line);
    }
    if (context.clock.elapsedMs() >= untilMs) return leave(exitCodes.waitedTooLong, `Waited ${timeoutSeconds} s.`);
    await context.clock.sleep(Math.min(periodMs, Math.max(1, untilMs - context.clock.elapsedMs())), signal);
    if (signal.aborted) return leave(exitCodes.interrupted, 'Stopped waiting.');
    periodMs = Math.min(1000, periodMs * 1.3);
    work = await followed.look(work);
  }
  answer(context, followed.document(work), () => work.map(lineOf).join('\n'));
  const bad = work.find(({ phase }) => phase !== 'succeeded');
  if (bad === undefined) return exitCodes.ok;
  // A workload that ended with code 0 on being stopped did not do what was waited for.
  return bad.exitCode === undefined || bad.exitCode === 0 ? exitCodes.workloadEndedBadly : bad.exitCode;
}

export function lineOf(workload: Workload): string {
  const place = placeText(workload);
  const where = place === undefined || workload.endedAtMs !== undefined ? '' : ` on ${place}`;
  const code = workload.exitCode === undefined ? '' : ` with exit code ${workload.exitCode}`;
  // Not looked at yet is what a line about something just queued says anyway, and a code is already named.
  const because =
    workload.reason === 'PendingEvaluation' || workload.reason === 'command-failed' ? undefined : (workload.detail ?? workload.reason);
  return `${workload.name} ${workload.phase}${where}${code}${because === undefined ? '' : `: ${because}`}`;
}
