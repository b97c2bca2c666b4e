import type { Clock } from './clock.ts';

export type LoopStatus =
  | { readonly kind: 'never-ran' }
  | { readonly kind: 'running'; readonly sinceMs: number }
  | { readonly kind: 'idle'; readonly endedAtMs: number; readonly tookMs: number; readonly failure: unknown };

/**
 * Runs one round after another: at once, when nudged, and at the latest after each period.
 * A round takes no input and finds its work by looking; a failed round is reported and followed by the next.
 */
export class Loop {
  status: LoopStatus = { kind: 'never-ran' };
  rounds = 0;
  #wake: (() => void) | undefined;
  #nudged = false;
  readonly #once: (signal: AbortSignal) => Promise<void>;
  readonly #periodMs: number;
  readonly #clock: Clock;
  readonly #onFailure: (failure: unknown) => void;

  constructor(deps: {
    readonly once: (signal: AbortSignal) => Promise<void>;
    readonly periodMs: number;
    readonly clock: Clock;
    readonly onFailure: (failure: unknown) => void;
  }) {
    this.#once = deps.once;
    this.#periodMs = deps.periodMs;
    this.#clock = deps.clock;
    this.#onFailure = deps.onFailure;
  }

  /** Says that something changed. Carries nothing, so a lost nudge costs one period. */
  nudge(): void {
    this.#nudged = true;
    this.#wake?.();
  }

  /** Ends when the signal is aborted and the round under way has returned. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#nudged = false;
      const startMs = this.#clock.elapsedMs();
      this.status = { kind: 'running', sinceMs: this.#clock.nowMs() };
      let failure: unknown;
      try {
        await this.#once(signal);
      } catch (thrown) {
        failure = thrown;
        if (!signal.aborted) this.#onFailure(thrown);
      }
      this.rounds += 1;
      this.status = { kind: 'idle', endedAtMs: this.#clock.nowMs(), tookMs: this.#clock.elapsedMs() - startMs, failure };
      if (!this.#nudged && !signal.aborted) await this.#rest(signal);
    }
  }

  async #rest(signal: AbortSignal): Promise<void> {
    const nap = new AbortController();
    this.#wake = () => nap.abort();
    await this.#clock.sleep(this.#periodMs, AbortSignal.any([signal, nap.signal]));
    this.#wake = undefined;
  }
}
