/**
 * One command at a time for each device, in the order they came. A device whose last command was given up and has not
 * ended takes no other until it has; that keeps nothing from the other devices.
 */
export class CommandLanes {
  readonly #tails = new Map<string, Promise<unknown>>();
  readonly #hung = new Map<string, number>();

  isHung(device: string): boolean {
    return (this.#hung.get(device) ?? 0) > 0;
  }

  /** Commands that were given up and have not ended. */
  get hungCount(): number {
    return [...this.#hung.values()].reduce((sum, count) => sum + count, 0);
  }

  run<T>(device: string, work: () => Promise<T>): Promise<T> {
    const next = (this.#tails.get(device) ?? Promise.resolve()).then(work);
    const tail = next.catch(() => undefined);
    this.#tails.set(device, tail);
    void tail.then(() => {
      if (this.#tails.get(device) === tail) this.#tails.delete(device);
    });
    return next;
  }

  /** Counts a command as hung until `gone` settles. */
  abandon(device: string, gone: Promise<void>): void {
    const add = (count: number): void => {
      const left = (this.#hung.get(device) ?? 0) + count;
      if (left > 0) this.#hung.set(device, left);
      else this.#hung.delete(device);
    };
    add(1);
    void gone.then(() => add(-1));
  }
}
