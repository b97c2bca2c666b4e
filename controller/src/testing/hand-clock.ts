import type { Clock } from '@astrago/shared/runtime/clock';

/**
 * Time that goes on by hand. Rests of up to `shortMs` end at once, so that loops that are only driven by nudges go on
 * without it.
 */
export class HandClock implements Clock {
  #ms = 0;
  readonly #sleepers = new Set<{ readonly untilMs: number; readonly wake: () => void }>();
  readonly #shortMs: number;

  constructor(shortMs = 0) {
    this.#shortMs = shortMs;
  }

  readonly nowMs = (): number => 1_000_000 + this.#ms;

  readonly elapsedMs = (): number => this.#ms;

  readonly sleep = (ms: number, signal?: AbortSignal): Promise<void> => {
    if (signal?.aborted === true) return Promise.resolve();
    return new Promise((resolve) => {
      const sleeper = { untilMs: this.#ms + ms, wake: resolve };
      const wake = (): void => {
        this.#sleepers.delete(sleeper);
        resolve();
      };
      signal?.addEventListener('abort', wake, { once: true });
      if (ms <= this.#shortMs) setImmediate(wake);
      else this.#sleepers.add(sleeper);
    });
  };

  /** Lets time pass and everything run that was waiting for it. */
  async advance(ms: number): Promise<void> {
    this.#ms += ms;
    for (const sleeper of [...this.#sleepers]) {
      if (sleeper.untilMs > this.#ms) continue;
      this.#sleepers.delete(sleeper);
      sleeper.wake();
    }
    await turns();
  }
}

/** Lets everything run that needs no time. */
export async function turns(count = 20): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
