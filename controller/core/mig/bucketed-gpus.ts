/**
 * GPUs by what they hold, so that a decision looks at each number that occurs once, however many GPUs there are.
 * Numbers are those of layouts or of sets of windows, as the table that is asked has them.
 */
export class BucketedGpus {
  /** GPUs of each number, lowest first. */
  readonly #members: (number[] | undefined)[] = [];
  /** Numbers that occur, in no order, and where each stands among them. */
  readonly #occupied: number[] = [];
  readonly #placeOf: number[] = [];
  readonly #numberOf: (number | undefined)[] = [];

  /** What a GPU holds, or `undefined` where it was never entered or has left. */
  of(gpu: number): number | undefined {
    return this.#numberOf[gpu];
  }

  enter(gpu: number, number: number): void {
    this.leave(gpu);
    let members = this.#members[number];
    if (members === undefined) {
      members = [];
      this.#members[number] = members;
    }
    if (members.length === 0) this.#placeOf[number] = this.#occupied.push(number) - 1;
    let low = 0;
    for (let high = members.length; low < high; ) {
      const middle = (low + high) >> 1;
      if ((members[middle] ?? 0) < gpu) low = middle + 1;
      else high = middle;
    }
    members.splice(low, 0, gpu);
    this.#numberOf[gpu] = number;
  }

  leave(gpu: number): void {
    const number = this.#numberOf[gpu];
    const members = number === undefined ? undefined : this.#members[number];
    if (number === undefined || members === undefined) return;
    members.splice(members.indexOf(gpu), 1);
    this.#numberOf[gpu] = undefined;
    if (members.length > 0) return;
    const last = this.#occupied.pop() ?? 0;
    if (last === number) return;
    const place = this.#placeOf[number] ?? 0;
    this.#occupied[place] = last;
    this.#placeOf[last] = place;
  }

  /**
   * The GPU of least cost; among equals the lowest. `undefined` where every cost is infinite.
   *
   * @param costs by number, from `offset` on.
   */
  cheapest(costs: Float64Array, offset = 0): number | undefined {
    let best = Number.POSITIVE_INFINITY;
    let found: number | undefined;
    for (const number of this.#occupied) {
      const cost = costs[offset + number] ?? Number.POSITIVE_INFINITY;
      if (cost > best || cost === Number.POSITIVE_INFINITY) continue;
      const first = this.#members[number]?.[0] ?? 0;
      if (cost === best && found !== undefined && first > found) continue;
      best = cost;
      found = first;
    }
    return found;
  }

  /** Every number that occurs, with its GPUs, lowest first. */
  *buckets(): Generator<readonly [number: number, gpus: readonly number[]]> {
    for (const number of this.#occupied) yield [number, this.#members[number] ?? []];
  }
}
