import type { Clock } from '@astrago/shared/runtime/clock';
import type { Loop } from '@astrago/shared/runtime/loop';

/** A loop whose rounds may ask for the next one at a time; only the earliest wish is kept. */
export class WakingLoop {
  readonly #clock: Clock;
  readonly #loop: Loop;
  #wake: { readonly atMs: number; readonly cancel: AbortController } | undefined;

  /** @param once says in how many ms it has a reason to run again, if it has one. */
  constructor(deps: {
    readonly once: (signal: AbortSignal) => Promise<number | undefined>;
    readonly clock: Clock;
    readonly makeLoop: (once: (signal: AbortSignal) => Promise<void>) => Loop;
  }) {
    this.#clock = deps.clock;
    this.#loop = deps.makeLoop(async (signal) => {
      const afterMs = await deps.once(signal);
      if (afterMs !== undefined) this.wakeIn(afterMs);
    });
  }

  nudge(): void {
    this.#loop.nudge();
  }

  wakeIn(afterMs: number): void {
    const atMs = this.#clock.elapsedMs() + afterMs;
    if (this.#wake !== undefined && this.#wake.atMs <= atMs) return;
    this.#wake?.cancel.abort();
    const wake = { atMs, cancel: new AbortController() };
    this.#wake = wake;
    void this.#clock.sleep(afterMs, wake.cancel.signal).then(() => {
      if (this.#wake !== wake) return;
      this.#wake = undefined;
      this.#loop.nudge();
    });
  }

  async run(signal: AbortSignal): Promise<void> {
    await this.#loop.run(signal);
    this.#wake?.cancel.abort();
    this.#wake = undefined;
  }
}
