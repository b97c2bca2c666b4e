// What went wrong as two sentences and an exit code: what is wrong, and what to do about it.
import { type ExitCode, exitCodes } from './exit-codes.ts';

export class CommandFailure extends Error {
  override name = 'CommandFailure';
  /** Stable word for programs; part of the problem document under --json. */
  readonly code: string;
  readonly exitCode: ExitCode;
  readonly remedy: string;
  constructor(facts: {
    readonly code: string;
    readonly exitCode: ExitCode;
    readonly what: string;
    readonly remedy: string;
    readonly cause?: unknown;
  }) {
    super(facts.what, { cause: facts.cause });
    this.code = facts.code;
    this.exitCode = facts.exitCode;
    this.remedy = facts.remedy;
  }
}

export function usageFailure(what: string, remedy: string): CommandFailure {
  return new CommandFailure({ code: 'usage', exitCode: exitCodes.usage, what, remedy });
}
