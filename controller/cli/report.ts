// Any failure as what is printed and the exit code. Loaded only when something failed: it knows the whole API.
import type { Problem } from '@astrago/api';
import { ApiFailure, UnexpectedAnswer, Unreachable } from '@astrago/api/client';
import { type ExitCode, exitCodeOfProblem, exitCodes } from './exit-codes.ts';
import { CommandFailure } from './failure.ts';

export interface Report {
  readonly exitCode: ExitCode;
  readonly text: string;
  readonly problem: Readonly<Record<string, unknown>>;
}

export function reportOf(failure: unknown): Report {
  if (failure instanceof ApiFailure) return ofProblem(failure.problem);
  if (failure instanceof CommandFailure) return ofCommand(failure);
  if (failure instanceof Unreachable) {
    return ofCommand(
      new CommandFailure({
        code: 'unreachable',
        exitCode: exitCodes.unreachable,
        what: `The controller at ${failure.url} does not answer (${causeOf(failure)}).`,
        remedy: 'Start it with astrago up, or name another with --url.',
      }),
    );
  }
  if (failure instanceof UnexpectedAnswer) {
    return ofCommand(
      new CommandFailure({
        code: 'unexpected-answer',
        exitCode: exitCodes.failed,
        what: `${sentence(failure.message)}`,
        remedy: 'Check that the URL is that of an AstraGo controller of the same version.',
      }),
    );
  }
  const what = failure instanceof Error ? failure.message : String(failure);
  return ofCommand(
    new CommandFailure({
      code: 'failed',
      exitCode: exitCodes.failed,
      what: sentence(what),
      remedy: 'Run again with ASTRAGO_DEBUG=1 to see where.',
    }),
  );
}

function ofProblem(problem: Problem): Report {
  if (problem.code === 'unauthenticated') return { exitCode: exitCodeOfProblem[problem.code], text: noTokenText, problem };
  const detail = problem.detail || problem.title;
  const parts = [sentence(detail)];
  // A detail may be the sum of its errors already.
  const untold = (problem.errors ?? []).filter((error) => !problem.detail.includes(error.detail));
  for (const error of untold) parts.push(`${error.pointer}: ${sentence(error.detail)}`);
  const unnamed = (problem.blockers ?? []).filter((name) => !detail.includes(name));
  if (unnamed.length > 0) parts.push(`In the way: ${unnamed.join(', ')}.`);
  if (problem.code === 'too-many-requests') parts.push('Try again in a moment.');
  return { exitCode: exitCodeOfProblem[problem.code], text: parts.join(' '), problem };
}

/** The controller speaks of headers; whoever types commands knows other words. */
const noTokenText =
  'The controller does not accept the token, or was given none. Give one with --token or ASTRAGO_TOKEN, or name the data directory of a running up with --data.';

function ofCommand(failure: CommandFailure): Report {
  return {
    exitCode: failure.exitCode,
    text: `${failure.message} ${failure.remedy}`.trim(),
    problem: {
      type: `urn:astrago:problem:${failure.code}`,
      title: failure.message,
      code: failure.code,
      detail: `${failure.message} ${failure.remedy}`.trim(),
      exitCode: failure.exitCode,
    },
  };
}

function causeOf(failure: Unreachable): string {
  let cause: unknown = failure.cause;
  // fetch wraps the reason one level deeper, and a host of several addresses one deeper still.
  while (cause instanceof Error && cause.cause instanceof Error) cause = cause.cause;
  if (cause instanceof AggregateError && cause.errors.length > 0) cause = cause.errors[0];
  return cause instanceof Error ? cause.message || cause.name : 'no connection';
}

function sentence(text: string): string {
  const trimmed = text.trim();
  return /[.!?]$/.test(trimmed) ? trimmed : `${trimmed}.`;
}
