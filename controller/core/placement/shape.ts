/**
 * What is free on a node, without its name: nodes of one shape are the same to every policy. A pool is what nodes
 * cannot differ in and still be exchanged: the GPU model, and whatever else an ask may insist on.
 */
export interface Shape {
  readonly pool: number;
  readonly cpuMilli: number;
  readonly memoryMiB: number;
  /** Free thousandths of each GPU, the freest first. */
  readonly gpus: Uint16Array;
  /** Numbers of the states of the GPUs that are cut or shared in time, ascending; absent: none is. See `GpuStates`. */
  readonly others?: Int32Array | undefined;
  /** So many of its untouched GPUs may not be cut; 0 where absent. */
  readonly uncuttable?: number | undefined;
  /** What a policy wants to remember of a node, see {@link PlacementPolicy.mark}. */
  readonly marks: number;
  /** What the policy found it to be worth; NaN until it was asked. */
  worth: number;
}

/** Gives equal shapes one number, so that all that is known of one is known of every node that ever has it. */
export class ShapeTable {
  readonly shapes: Shape[] = [];
  /** Open addressing: number of the shape plus one, 0 where free. */
  #slots = new Int32Array(1024);

  idOf(shape: Shape): number {
    if (this.shapes.length * 2 >= this.#slots.length) this.#grow();
    const mask = this.#slots.length - 1;
    for (let at = hashOf(shape) & mask; ; at = (at + 1) & mask) {
      const found = (this.#slots[at] ?? 0) - 1;
      if (found < 0) {
        this.#slots[at] = this.shapes.push(shape);
        return this.shapes.length - 1;
      }
      if (same(this.at(found), shape)) return found;
    }
  }

  at(id: number): Shape {
    // Ids are only made here.
    return this.shapes[id] as Shape;
  }

  #grow(): void {
    this.#slots = new Int32Array(this.#slots.length * 2);
    const mask = this.#slots.length - 1;
    this.shapes.forEach((shape, id) => {
      let at = hashOf(shape) & mask;
      while (this.#slots[at] !== 0) at = (at + 1) & mask;
      this.#slots[at] = id + 1;
    });
  }
}

function hashOf({ pool, cpuMilli, memoryMiB, gpus, others, uncuttable, marks }: Shape): number {
  let hash = Math.imul(pool + 1, 0x9e3779b1) ^ marks ^ ((uncuttable ?? 0) << 8);
  hash = Math.imul(hash ^ cpuMilli, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13) ^ memoryMiB, 0xc2b2ae35);
  for (const milli of gpus) hash = Math.imul(hash ^ (hash >>> 15) ^ milli, 0x2c1b3c6d);
  if (others !== undefined) for (const state of others) hash = Math.imul(hash ^ (hash >>> 14) ^ state, 0x297a2d39);
  return hash ^ (hash >>> 16);
}

function same(one: Shape, other: Shape): boolean {
  if (one.cpuMilli !== other.cpuMilli || one.memoryMiB !== other.memoryMiB || one.pool !== other.pool || one.marks !== other.marks)
    return false;
  if ((one.uncuttable ?? 0) !== (other.uncuttable ?? 0)) return false;
  return sameNumbers(one.gpus, other.gpus) && sameNumbers(one.others ?? none, other.others ?? none);
}

const none = new Int32Array(0);

function sameNumbers(one: Uint16Array | Int32Array, other: Uint16Array | Int32Array): boolean {
  if (one.length !== other.length) return false;
  for (let at = 0; at < one.length; at += 1) if (one[at] !== other[at]) return false;
  return true;
}

/** The list of states with the one at `index` changed, or with one more where there is no index. */
export function withState(others: Int32Array | undefined, index: number | undefined, state: number): Int32Array {
  const kept = [...(others ?? none)];
  if (index === undefined) kept.push(state);
  else kept[index] = state;
  return Int32Array.from(kept).sort();
}

/** The GPU list with the entry at `index` changed to `milli`, sorted again. */
export function withGpu(gpus: Uint16Array, index: number, milli: number): Uint16Array {
  const changed = gpus.slice();
  let at = index;
  for (; at + 1 < changed.length && (changed[at + 1] ?? 0) > milli; at += 1) changed[at] = changed[at + 1] ?? 0;
  for (; at > 0 && (changed[at - 1] ?? 0) < milli; at -= 1) changed[at] = changed[at - 1] ?? 0;
  changed[at] = milli;
  return changed;
}

/** How many GPUs are free as a whole. */
export function freeGpus(gpus: Uint16Array): number {
  let count = 0;
  while (count < gpus.length && gpus[count] === 1000) count += 1;
  return count;
}

export function freeMilli(gpus: Uint16Array): number {
  let sum = 0;
  for (const milli of gpus) sum += milli;
  return sum;
}
