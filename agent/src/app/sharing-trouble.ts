import type { Clock } from '@astrago/shared/runtime/clock';

/** So many failures, or deaths within the window, and the device counts as failed. */
const failedAfter = 3;
const windowMs = 300_000;
/** A daemon that has stayed up so long is well again. */
const wellAfterMs = 60_000;
const firstRestMs = 1000;
const longestRestMs = 60_000;

/** Remembers what went wrong with the sharing of one device, so that nothing is tried in a hot loop and none is given up too early. */
export class SharingTrouble {
  readonly #clock: Clock;
  #tries = 0;
  #hopeless = false;
  #restUntilMs = Number.NEGATIVE_INFINITY;
  #detail: string | undefined;
  #deathsAtMs: readonly number[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A step failed; `hopeless` when trying again would end the same way. */
  failed(detail: string, hopeless: boolean): void {
    this.#tries += 1;
    this.#hopeless = hopeless;
    this.#rest(detail, hopeless || this.#tries >= failedAfter ? Number.POSITIVE_INFINITY : this.#tries);
  }

  /** A daemon that was up is gone without having been told. */
  died(detail: string): void {
    const nowMs = this.#clock.elapsedMs();
    this.#deathsAtMs = [...this.#deathsAtMs.filter((atMs) => nowMs - atMs < windowMs), nowMs];
    const count = this.#deathsAtMs.length;
    // The first time it is started again at once.
    if (count > 1) this.#rest(detail, count - 1);
    else this.#detail = detail;
  }

  /** All is as wanted. */
  well(): void {
    this.#tries = 0;
    this.#hopeless = false;
    const lastDeathMs = this.#deathsAtMs.at(-1);
    if (lastDeathMs !== undefined && this.#clock.elapsedMs() - lastDeathMs < wellAfterMs) return;
    this.#deathsAtMs = [];
    this.#detail = undefined;
  }

  /** Somebody new waits: what had failed is tried again now. */
  tryAgain(): void {
    this.#restUntilMs = Number.NEGATIVE_INFINITY;
  }

  /** Why those who wait need not wait any longer. */
  get failure(): string | undefined {
    return this.#tries >= failedAfter || this.#hopeless ? this.#detail : undefined;
  }

  /** What a person should know: that, or a daemon that dies again and again. */
  get finding(): string | undefined {
    return this.failure ?? (this.#deathsAtMs.length >= failedAfter ? this.#detail : undefined);
  }

  get restsMs(): number {
    return Math.max(0, this.#restUntilMs - this.#clock.elapsedMs());
  }

  #rest(detail: string, count: number): void {
    this.#detail = detail;
    this.#restUntilMs = this.#clock.elapsedMs() + Math.min(longestRestMs, firstRestMs * 2 ** (count - 1));
  }
}
