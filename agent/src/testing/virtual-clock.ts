import type { Clock } from '@astrago/shared/runtime/clock';

/** The wall clock is set forward by so much (back where negative) at a moment of elapsed time. */
export interface ClockJump {
  readonly atMs: number;
  readonly byMs: number;
}

interface Sleeper {
  readonly atMs: number;
  readonly wake: () => void;
}

/** Time that passes only when a test says so, with a wall clock that somebody sets. For work that waits for nothing else. */
export class VirtualClock implements Clock {
  readonly #jumps: readonly ClockJump[];
  readonly #sleepers = new Set<Sleeper>();
  #elapsedMs = 0;

  constructor(jumps: readonly ClockJump[] = []) {
    this.#jumps = jumps;
  }

  nowMs(): number {
    const jumped = this.#jumps.filter(({ atMs }) => atMs <= this.#elapsedMs);
    return jumped.reduce((nowMs, { byMs }) => nowMs + byMs, 1_800_000_000_000 + this.#elapsedMs);
  }

  elapsedMs(): number {
    return this.#elapsedMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#sleepers.delete(sleeper);
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      const sleeper = { atMs: this.#elapsedMs + Math.max(0, ms), wake };
      this.#sleepers.add(sleeper);
      signal?.addEventListener('abort', wake, { once: true });
    });
  }

  /** Lets time pass up to a moment; whoever sleeps until then wakes in order, and has done its work before the next one does. */
  async passUntil(endMs: number): Promise<void> {
    for (;;) {
      await allIsStill();
      const next = [...this.#sleepers].reduce<Sleeper | undefined>(
        (first, one) => (first === undefined || one.atMs < first.atMs ? one : first),
        undefined,
      );
      if (next === undefined || next.atMs > endMs) break;
      this.#elapsedMs = next.atMs;
      next.wake();
    }
    this.#elapsedMs = endMs;
    await allIsStill();
  }
}

/** All that follows from what has happened, promise by promise, is done. */
function allIsStill(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
