/** After so many periods without a new value the old one is not shown any more. */
export const periodsKept = 3;

/**
 * Judges ages at one moment, and remembers when a judgement would first differ, so that what was printed can be kept
 * until then. A time of the future is as untrustworthy as an old one: the clock has jumped, and the next round brings a right one.
 */
export class Freshness {
  readonly nowMs: number;
  #changesAtMs = Number.POSITIVE_INFINITY;

  constructor(nowMs: number) {
    this.nowMs = nowMs;
  }

  /** @param atMs when it was measured, by the wall clock. */
  isFresh(atMs: number, periodMs: number): boolean {
    const limitMs = periodsKept * periodMs;
    const ageMs = this.nowMs - atMs;
    if (ageMs < -limitMs) this.#changes(atMs - limitMs);
    else if (ageMs <= limitMs) this.#changes(atMs + limitMs + 1);
    return Math.abs(ageMs) <= limitMs;
  }

  #changes(atMs: number): void {
    this.#changesAtMs = Math.min(this.#changesAtMs, atMs);
  }

  /** Whether everything judged here would be judged the same at another moment. */
  holdsAt(nowMs: number): boolean {
    return nowMs >= this.nowMs && nowMs < this.#changesAtMs;
  }
}
