/**
 * Runs each part with a time limit. A part that has not ended by then is stuck, in a file system that does not answer for
 * instance; it is not started again before it has ended, so that whatever hangs hangs once.
 */
export class TimeLimit {
  readonly #stuck = new Set<string>();
  readonly #limitMs: number;
  readonly #after: (ms: number, signal: AbortSignal) => Promise<void>;

  /** @param after resolves when so much time has passed, or at once when the signal is aborted. */
  constructor(limitMs: number, after: (ms: number, signal: AbortSignal) => Promise<void>) {
    this.#limitMs = limitMs;
    this.#after = after;
  }

  /** Throws when the part fails, does not end in time, or has not ended since it was last started. */
  async run<T>(name: string, part: () => Promise<T>): Promise<T> {
    if (this.#stuck.has(name)) throw new Error(`${name} has not ended since it was last asked`);
    const ended = new AbortController();
    this.#stuck.add(name);
    const running = part().finally(() => {
      this.#stuck.delete(name);
      ended.abort();
    });
    const late = this.#after(this.#limitMs, ended.signal).then(() => {
      if (!ended.signal.aborted) throw new Error(`${name} took more than ${this.#limitMs} ms`);
      return running;
    });
    return Promise.race([running, late]);
  }
}
