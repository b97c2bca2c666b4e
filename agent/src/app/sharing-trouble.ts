import type { Clock } from '@astrago/shared/runtime/clock';
import type { SharingStep } from '#core/sharing/next-sharing-step';

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
  /** The step that is left alone until then; absent: looking itself failed. */
  #resting: SharingStep['kind'] | undefined;
  #detail: string | undefined;
  #deathsAtMs: readonly number[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A step failed, or a look; `hopeless` when trying again would end the same way. */
  failed(step: SharingStep['kind'] | undefined, detail: string, hopeless: boolean): void {
    this.#tries += 1;
    this.#hopeless = hopeless;
    this.#detail = detail;
    this.#rest(step, hopeless || this.#tries >= failedAfter ? Number.POSITIVE_INFINITY : this.#tries);
  }

  /** A daemon that was up is gone without having been told. */
  died(): void {
    const nowMs = this.#clock.elapsedMs();
    this.#deathsAtMs = [...this.#deathsAtMs.filter((atMs) => nowMs - atMs < windowMs), nowMs];
    const count = this.#deathsAtMs.length;
    // The first time it is started again at once.
    if (count > 1) this.#rest('start-mps', count - 1);
  }

  /** All is as wanted. */
  well(): void {
    this.#tries = 0;
    this.#hopeless = false;
    this.#detail = undefined;
    const lastDeathMs = this.#deathsAtMs.at(-1);
    if (lastDeathMs !== undefined && this.#clock.elapsedMs() - lastDeathMs < wellAfterMs) return;
    this.#deathsAtMs = [];
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
    const deaths = this.#deathsAtMs.length;
    return (
      this.failure ??
      (deaths >= failedAfter ? `the MPS control daemon has died ${deaths} times within ${windowMs / 60_000} minutes` : undefined)
    );
  }

  /** Only what failed is left alone: whatever else is due, taking back what was done for one, goes on. */
  rests(step: SharingStep['kind']): boolean {
    return step === this.#resting && this.restsMs > 0;
  }

  get restsMs(): number {
    return Math.max(0, this.#restUntilMs - this.#clock.elapsedMs());
  }

  #rest(step: SharingStep['kind'] | undefined, count: number): void {
    this.#resting = step;
    this.#restUntilMs = this.#clock.elapsedMs() + Math.min(longestRestMs, firstRestMs * 2 ** (count - 1));
  }
}
