import type { Clock } from '@astrago/shared/runtime/clock';
import type { DriverFault } from '../app/ports.ts';

interface Refusal {
  readonly fault: DriverFault;
  readonly count: number;
  readonly atMs: number;
  readonly untilMs: number;
}

/** Refused so often, a question is asked less and less. */
const often = 3;
const firstRestMs = 30_000;
const longestRestMs = 300_000;
/** Questions to each GPU at one moment count as one. */
const momentMs = 500;
const keptMax = 200;

/**
 * Questions that this nvidia-smi has never answered: one that lacks a command would refuse it in each round. What was
 * answered once is asked whatever happens.
 */
export class Refusals {
  readonly #clock: Clock;
  readonly #answered = new Set<string>();
  readonly #refused = new Map<string, Refusal>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The answer that is known already. */
  known(args: readonly string[]): DriverFault | undefined {
    const refusal = this.#refused.get(keyOf(args));
    return refusal !== undefined && refusal.count >= often && this.#clock.elapsedMs() < refusal.untilMs ? refusal.fault : undefined;
  }

  /** It was refused before, and never answered. */
  isExpected(args: readonly string[]): boolean {
    return this.#refused.has(keyOf(args));
  }

  note(args: readonly string[], fault: DriverFault): void {
    const key = keyOf(args);
    if (this.#answered.has(key) || (this.#refused.size >= keptMax && !this.#refused.has(key))) return;
    const nowMs = this.#clock.elapsedMs();
    const before = this.#refused.get(key);
    if (before !== undefined && nowMs - before.atMs < momentMs) return;
    const count = (before?.count ?? 0) + 1;
    const restMs = count < often ? 0 : Math.min(longestRestMs, firstRestMs * 2 ** (count - often));
    this.#refused.set(key, { fault, count, atMs: nowMs, untilMs: nowMs + restMs });
  }

  answered(args: readonly string[]): void {
    const key = keyOf(args);
    this.#refused.delete(key);
    if (this.#answered.size < keptMax) this.#answered.add(key);
  }
}

/** The same question, whichever GPU it is about. */
function keyOf(args: readonly string[]): string {
  const at = args.indexOf('-i');
  return (at < 0 ? args : args.toSpliced(at, 2)).join(' ');
}
