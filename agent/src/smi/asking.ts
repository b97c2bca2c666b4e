import type { GpuUuid } from '@astrago/shared/domain/ids';
import { DriverFault, type DriverFaultCode } from '../app/ports.ts';
import { classify, codeOf, type Verdict } from './classify.ts';
import { type CommandEnd, type CommandKind, type CommandSurroundings, runCommand } from './command.ts';
import { type Claim, Lanes } from './lanes.ts';
import type { Parsed } from './parsed.ts';
import { Refusals } from './refusals.ts';
import { Residents } from './residents.ts';

/** Told of every command that was asked for, the refused ones included; for metrics. Must not throw. */
export interface CommandObservation {
  readonly kind: CommandKind;
  /** From being asked, so with the wait for its turn. */
  readonly ms: number;
  readonly outcome: 'done' | 'aborted' | DriverFaultCode;
}

/** A read-only command and how to read its answer. */
export interface Question<T> {
  readonly args: readonly string[];
  readonly gpu: GpuUuid | 'all';
  readonly read: (text: string) => Parsed<T>;
  /** An error exit with this text is an answer of its own: nvidia-smi reports "none" as a failure. */
  readonly none?: { readonly text: RegExp; readonly value: T };
}

export interface Change {
  readonly args: readonly string[];
  readonly gpu: GpuUuid;
  readonly kind: 'mutate' | 'reset';
  /** With no other command of ours on this GPU. */
  readonly alone: boolean;
}

const outputMax = 2_000;

/** Of a switch or a field that this nvidia-smi does not have, in its own words. */
const unknown =
  /is not recognized|is not a valid field|Invalid combination of input arguments|missing its value|unrecognized|unknown (?:option|switch|argument|command)|usage:/i;

export function isUnknown(fault: DriverFault): boolean {
  return fault.code === 'failed' && unknown.test(fault.output);
}

/** Runs commands in their lanes and turns what they print into answers or {@link DriverFault}. */
export class Asking {
  readonly around: CommandSurroundings;
  /** Long-running readers, which step aside for a change that has to be alone. */
  readonly residents = new Residents();
  readonly #onCommand: (observation: CommandObservation) => void;
  readonly #lanes: Lanes;
  readonly #refusals: Refusals;

  constructor(deps: { readonly around: CommandSurroundings; readonly onCommand: (observation: CommandObservation) => void }) {
    this.around = deps.around;
    this.#onCommand = deps.onCommand;
    this.#refusals = new Refusals(deps.around.clock);
    this.#lanes = new Lanes({ clock: deps.around.clock, patienceMs: deps.around.limits.patienceMs });
  }

  get hungCount(): number {
    return this.#lanes.hungCount;
  }

  /** Counts a reader of all GPUs as hung until `gone` settles. */
  abandon(gone: Promise<void>): void {
    this.#lanes.abandon({ gpu: 'all', manner: 'look' }, gone);
  }

  /** Asks again once when the answer cannot be read: listings are known to fail now and then. What is not known stays so. */
  async ask<T>(question: Question<T>, signal: AbortSignal): Promise<T> {
    const known = this.#refusals.known(question.args);
    if (known !== undefined && !signal.aborted) throw known;
    try {
      const answer = await this.#askPatiently(question, signal);
      this.#refusals.answered(question.args);
      return answer;
    } catch (fault) {
      if (!signal.aborted && isFlaky(fault)) this.#refusals.note(question.args, fault);
      throw fault;
    }
  }

  async #askPatiently<T>(question: Question<T>, signal: AbortSignal): Promise<T> {
    try {
      return await this.#askOnce(question, signal);
    } catch (fault) {
      if (!isFlaky(fault) || isUnknown(fault) || this.#refusals.isExpected(question.args) || signal.aborted) throw fault;
      return await this.#askOnce(question, signal);
    }
  }

  /** What the command came to, faults thrown. */
  async change(change: Change, signal: AbortSignal): Promise<Exclude<Verdict, { kind: 'fault' }>['kind']> {
    const claim: Claim = { gpu: change.gpu, manner: change.alone ? 'alone' : 'change' };
    return await this.#run(change.args, change.kind, claim, signal, (exitCode, stdout, stderr) => {
      const output = `${stdout}\n${stderr}`;
      const verdict = classify(exitCode, output);
      if (verdict.kind === 'fault') throw faultOf(verdict.code, change.args, output);
      return verdict.kind;
    });
  }

  async #askOnce<T>(question: Question<T>, signal: AbortSignal): Promise<T> {
    const { args, none, read } = question;
    return await this.#run(args, 'query', { gpu: question.gpu, manner: 'look' }, signal, (exitCode, stdout, stderr) => {
      const output = `${stdout}\n${stderr}`;
      if (exitCode !== 0) {
        if (none?.text.test(output) === true) return none.value;
        throw faultOf(codeOf(exitCode, output), args, output);
      }
      // Warnings of loaders and libraries go to stderr beside a good answer.
      const answer = read(stdout.trim() === '' ? stderr : stdout);
      if (answer.kind === 'parsed') return answer.value;
      // An error exit is not to be relied on.
      const code = output.length < outputMax ? codeOf(undefined, output) : 'failed';
      if (code === 'failed') throw faultOf('unreadable-output', args, `${answer.reason}: ${answer.line}\n${output}`);
      throw faultOf(code, args, output);
    });
  }

  async #run<T>(
    args: readonly string[],
    kind: CommandKind,
    claim: Claim,
    signal: AbortSignal,
    answer: (exitCode: number | undefined, stdout: string, stderr: string) => T,
  ): Promise<T> {
    const startMs = this.around.clock.elapsedMs();
    let outcome: CommandObservation['outcome'] = 'failed';
    try {
      if ((await this.#lanes.enter(claim, signal)) === 'hung') throw faultOf('busy-with-hung-command', args);
      const end = await this.#runInLane({ args, kind }, claim, signal);
      if (end.kind === 'not-started')
        throw new DriverFault(isMissing(end.cause) ? 'driver-unavailable' : 'failed', { command: args, cause: end.cause });
      if (end.kind === 'abandoned') {
        if (end.why === 'aborted') throw signal.reason;
        throw faultOf(end.why === 'timed-out' ? 'timed-out' : 'unreadable-output', args);
      }
      const value = answer(end.exitCode, end.stdout, end.stderr);
      outcome = 'done';
      return value;
    } catch (thrown) {
      if (thrown instanceof DriverFault) outcome = thrown.code;
      else if (signal.aborted) outcome = 'aborted';
      throw thrown;
    } finally {
      this.#onCommand({ kind, ms: this.around.clock.elapsedMs() - startMs, outcome });
    }
  }

  async #runInLane(
    request: { readonly args: readonly string[]; readonly kind: CommandKind },
    claim: Claim,
    signal: AbortSignal,
  ): Promise<CommandEnd> {
    const resume = claim.manner === 'alone' ? await this.residents.stepAside() : undefined;
    const end = await runCommand(request, this.around, signal);
    if (end.kind === 'abandoned' && !end.ended) {
      this.#lanes.abandon(claim, end.gone);
      // It may still be at work, and needs the GPUs for itself until it is gone or can be given up.
      if (resume !== undefined) void Promise.race([end.gone, this.around.clock.sleep(this.around.limits.resetMs)]).then(resume);
    } else {
      this.#lanes.leave(claim);
      resume?.();
    }
    return end;
  }
}

function isFlaky(fault: unknown): fault is DriverFault {
  return fault instanceof DriverFault && (fault.code === 'unreadable-output' || fault.code === 'failed');
}

/** Asking on would hang, or be refused, just the same. */
export function isHang(fault: DriverFault): boolean {
  return fault.code === 'timed-out' || fault.code === 'busy-with-hung-command';
}

function faultOf(code: DriverFaultCode, command: readonly string[], output = ''): DriverFault {
  return new DriverFault(code, { command, output: output.trim().slice(0, outputMax) });
}

/** No program there, or nothing that can be run; anything else is this machine short of something. */
function isMissing(cause: unknown): boolean {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  return code === 'ENOENT' || code === 'EACCES' || code === 'ENOTDIR' || code === 'ENOEXEC';
}
