/** The least of its members by `before`. */
export class MinHeap<T> {
  readonly #items: T[] = [];
  readonly #before: (a: T, b: T) => boolean;

  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before;
  }

  get least(): T | undefined {
    return this.#items[0];
  }

  push(item: T): void {
    let at = this.#items.push(item) - 1;
    while (at > 0) {
      const above = this.#items[(at - 1) >> 1];
      if (above === undefined || !this.#before(item, above)) break;
      this.#items[at] = above;
      at = (at - 1) >> 1;
    }
    this.#items[at] = item;
  }

  pop(): T | undefined {
    const [least] = this.#items;
    const last = this.#items.pop();
    if (last === undefined || this.#items.length === 0) return least;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      const right = this.#items[below + 1];
      let child = this.#items[below];
      if (child === undefined) break;
      if (right !== undefined && this.#before(right, child)) {
        child = right;
        below += 1;
      }
      if (!this.#before(child, last)) break;
      this.#items[at] = child;
      at = below;
    }
    this.#items[at] = last;
    return least;
  }
}
