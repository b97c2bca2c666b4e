/** Ends to come, the next first: a heap of times, each with a number. */
export class EndQueue {
  readonly #times: Float64Array;
  readonly #numbers: Int32Array;
  #count = 0;

  /** @param most how many there can be at once. */
  constructor(most: number) {
    this.#times = new Float64Array(most);
    this.#numbers = new Int32Array(most);
  }

  /** When; infinite where nothing is left to end. */
  get next(): number {
    return this.#count === 0 ? Number.POSITIVE_INFINITY : (this.#times[0] ?? 0);
  }

  add(time: number, number: number): void {
    let at = this.#count;
    this.#count += 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if ((this.#times[parent] ?? 0) <= time) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#times[at] = time;
    this.#numbers[at] = number;
  }

  /** The number of the next one, which is taken out; there must be one. */
  take(): number {
    const number = this.#numbers[0] ?? 0;
    this.#count -= 1;
    const time = this.#times[this.#count] ?? 0;
    const moved = this.#numbers[this.#count] ?? 0;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#count) break;
      if (child + 1 < this.#count && (this.#times[child + 1] ?? 0) < (this.#times[child] ?? 0)) child += 1;
      if ((this.#times[child] ?? 0) >= time) break;
      this.#move(child, at);
      at = child;
    }
    this.#times[at] = time;
    this.#numbers[at] = moved;
    return number;
  }

  #move(from: number, to: number): void {
    this.#times[to] = this.#times[from] ?? 0;
    this.#numbers[to] = this.#numbers[from] ?? 0;
  }
}
