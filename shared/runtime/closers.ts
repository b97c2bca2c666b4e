/** Things to close, in reverse order of opening; every error is kept and none stops the rest. */
export class Closers implements AsyncDisposable {
  readonly #closers: (() => void | PromiseLike<void>)[] = [];

  add(close: () => void | PromiseLike<void>): void {
    this.#closers.push(close);
  }

  use<T extends AsyncDisposable>(resource: T): T {
    this.add(() => resource[Symbol.asyncDispose]());
    return resource;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const failures: unknown[] = [];
    for (const close of this.#closers.splice(0).reverse()) {
      try {
        await close();
      } catch (failure) {
        failures.push(failure);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'could not close cleanly');
  }
}
