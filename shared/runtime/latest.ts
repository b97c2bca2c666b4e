/** Holds one value; a reader that is late sees the newest and misses the rest. */
export class Latest<T> {
  #value: { readonly value: T; readonly sequence: number } | undefined;
  #sequence = 0;
  readonly #wakers = new Set<() => void>();

  get current(): T | undefined {
    return this.#value?.value;
  }

  set(value: T): void {
    this.#sequence += 1;
    this.#value = { value, sequence: this.#sequence };
    for (const wake of [...this.#wakers]) wake();
  }

  /** Yields the current value, if any, and then every newest one until the signal is aborted. */
  async *watch(signal: AbortSignal): AsyncGenerator<T, void, undefined> {
    let seen = 0;
    while (!signal.aborted) {
      if (this.#value !== undefined && this.#value.sequence > seen) {
        seen = this.#value.sequence;
        yield this.#value.value;
        continue;
      }
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#wakers.delete(wake);
          signal.removeEventListener('abort', wake);
          resolve();
        };
        this.#wakers.add(wake);
        signal.addEventListener('abort', wake, { once: true });
      });
    }
  }
}
