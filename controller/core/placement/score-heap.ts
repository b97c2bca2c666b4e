/** A heap of shapes, the best on top: by score, and among equals by the rank of the first node that has it. */
export class ScoreHeap {
  readonly #keys: number[] = [];
  readonly #shapes: number[] = [];

  get isEmpty(): boolean {
    return this.#keys.length === 0;
  }

  get size(): number {
    return this.#keys.length;
  }

  /** In no order, some more than once. */
  get shapes(): readonly number[] {
    return this.#shapes;
  }

  clear(): void {
    this.#keys.length = 0;
    this.#shapes.length = 0;
  }

  /** Of the top; there must be one. */
  get key(): number {
    return this.#keys[0] ?? 0;
  }

  get shape(): number {
    return this.#shapes[0] ?? 0;
  }

  push(key: number, shape: number): void {
    let at = this.#keys.push(key) - 1;
    this.#shapes.push(shape);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if ((this.#keys[parent] ?? 0) >= key) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#set(at, key, shape);
  }

  pop(): void {
    const key = this.#keys.pop() ?? 0;
    const shape = this.#shapes.pop() ?? 0;
    const count = this.#keys.length;
    if (count === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= count) break;
      if (child + 1 < count && (this.#keys[child + 1] ?? 0) > (this.#keys[child] ?? 0)) child += 1;
      if ((this.#keys[child] ?? 0) <= key) break;
      this.#move(child, at);
      at = child;
    }
    this.#set(at, key, shape);
  }

  #move(from: number, to: number): void {
    this.#set(to, this.#keys[from] ?? 0, this.#shapes[from] ?? 0);
  }

  #set(at: number, key: number, shape: number): void {
    this.#keys[at] = key;
    this.#shapes[at] = shape;
  }
}

const rankBits = 2 ** 22;

/** One number that sorts by score first and by rank, the lower the better, second. Exact for scores of 31 bits. */
export function keyOf(score: number, rank: number): number {
  return score * rankBits - rank;
}
