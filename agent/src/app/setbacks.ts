import type { Failure } from '#core/allocation-step';
import type { DriverFault, DriverFaultCode } from './ports.ts';

/** A step that failed, and what follows from it. */
export interface Setback {
  readonly tries: number;
  /** Monotonic; the step is left alone until then. */
  readonly restUntilMs: number;
  /** Present once the step counts as failed, for those who waited for it then. */
  readonly failure: { readonly failure: Failure; readonly detail: string } | undefined;
  readonly code: DriverFaultCode;
}

/** Trying again at once would end the same way. */
const hopeless: ReadonlySet<DriverFaultCode> = new Set(['unknown-profile', 'no-permission', 'gpu-lost', 'needs-reset']);
/** Says nothing about the step: the driver did not answer, and may later. */
const unanswered: ReadonlySet<DriverFaultCode> = new Set(['timed-out', 'busy-with-hung-command', 'driver-unavailable']);

const triesMax = 2;
const unansweredRestMs = 3000;
/** Another client may only have looked: a second later the GPU is free. */
const inUseRestMs = 1000;
const firstRestMs = 10_000;
const longestRestMs = 300_000;

/** Remembers the steps of one GPU that failed, so that none is tried in a hot loop and none is given up too early. */
export class Setbacks {
  readonly #byStep = new Map<string, Setback>();

  note(step: string, fault: DriverFault, nowMs: number): Setback {
    const before = this.#byStep.get(step);
    const setback = unanswered.has(fault.code)
      ? { tries: before?.tries ?? 0, restUntilMs: nowMs + unansweredRestMs, failure: before?.failure, code: fault.code }
      : failed((before?.tries ?? 0) + 1, fault, nowMs);
    this.#byStep.set(step, setback);
    return setback;
  }

  resting(step: string, nowMs: number): Setback | undefined {
    const setback = this.#byStep.get(step);
    return setback !== undefined && nowMs < setback.restUntilMs ? setback : undefined;
  }

  succeeded(step: string): void {
    this.#byStep.delete(step);
  }

  /** Forgets the steps that match: there is a new reason to try. */
  forgive(matches: (step: string) => boolean): void {
    for (const step of [...this.#byStep.keys()]) if (matches(step)) this.#byStep.delete(step);
  }

  /** Details of what counts as failed now. */
  get failures(): readonly string[] {
    return [...this.#byStep.values()].flatMap(({ failure }) => (failure === undefined ? [] : [failure.detail]));
  }

  /** When the next rest is over; `undefined` when nothing rests. */
  nextWakeMs(nowMs: number): number | undefined {
    const ends = [...this.#byStep.values()].map((setback) => setback.restUntilMs).filter((endMs) => endMs > nowMs);
    return ends.length === 0 ? undefined : Math.min(...ends);
  }
}

function failed(tries: number, fault: DriverFault, nowMs: number): Setback {
  if (tries < triesMax && !hopeless.has(fault.code)) {
    return { tries, restUntilMs: nowMs + (fault.code === 'gpu-in-use' ? inUseRestMs : 0), failure: undefined, code: fault.code };
  }
  const restMs = Math.min(longestRestMs, firstRestMs * 2 ** Math.max(0, tries - triesMax));
  return { tries, restUntilMs: nowMs + restMs, failure: { failure: failureOf(fault.code), detail: sentenceOf(fault) }, code: fault.code };
}

function failureOf(code: DriverFaultCode): Failure {
  return code === 'gpu-in-use' ? 'gpu-in-use' : code === 'gpu-lost' ? 'device-lost' : 'create-failed';
}

/** What the driver printed first, which is what a person searches for. */
export function sentenceOf(fault: DriverFault): string {
  return fault.output.trim().split('\n')[0] || fault.message;
}

export function isUnanswered(fault: DriverFault): boolean {
  return unanswered.has(fault.code);
}
