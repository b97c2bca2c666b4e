import { byRank } from './rank.ts';
import type { WorkloadRecord } from './records.ts';

/** Queued work, kept in the order in which it is looked at, see {@link byRank}. */
export class Queue {
  readonly #records: WorkloadRecord[] = [];
  #copy: readonly WorkloadRecord[] | undefined;

  get count(): number {
    return this.#records.length;
  }

  /** As it is now; later changes do not show in it. */
  inOrder(): readonly WorkloadRecord[] {
    this.#copy ??= [...this.#records];
    return this.#copy;
  }

  add(record: WorkloadRecord): void {
    const at = this.#placeOf(record);
    if (at === this.#records.length) this.#records.push(record);
    else this.#records.splice(at, 0, record);
    this.#copy = undefined;
  }

  /** It must be there. */
  remove(record: WorkloadRecord): void {
    const at = this.#placeOf(record);
    if (at === 0) this.#records.shift();
    else this.#records.splice(at, 1);
    this.#copy = undefined;
  }

  #placeOf(record: WorkloadRecord): number {
    let low = 0;
    for (let high = this.#records.length; low < high; ) {
      const middle = (low + high) >> 1;
      if (inOrder(this.#records[middle] as WorkloadRecord, record) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Sequences are never used twice, but for the sake of order ids tell apart what has one in common. */
function inOrder(a: WorkloadRecord, b: WorkloadRecord): number {
  return byRank(a, b) || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}
