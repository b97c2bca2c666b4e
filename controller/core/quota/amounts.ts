// How much of what. People write plain numbers by name; the tree counts whole thousandths on numbered axes, so that
// taking back what was added leaves the account as it was to the last bit.

/** cpu in thousandths of a core, memory in MiB, the other two in slice units; either may be narrowed to one GPU class. */
export type ResourceName = 'cpu' | 'memory' | 'compute' | 'gpu-memory' | `compute/${string}` | `gpu-memory/${string}`;

/** In the units above, down to thousandths of one; a resource that is not named is not asked for, not promised, or not limited. */
export type Amounts = Readonly<Partial<Record<ResourceName, number>>>;

/** Thousandths, one number an axis; whole, and Infinity where something is not bounded. */
export type Vector = Float64Array;

export function entriesOf(amounts: Amounts): readonly (readonly [ResourceName, number])[] {
  return Object.entries(amounts).flatMap(([name, amount]) => (amount === undefined ? [] : [[name as ResourceName, amount] as const]));
}

/** `compute` of `compute/h100`; absent for what is a total itself. */
export function totalOf(name: ResourceName): 'compute' | 'gpu-memory' | undefined {
  if (name.startsWith('compute/')) return 'compute';
  return name.startsWith('gpu-memory/') ? 'gpu-memory' : undefined;
}

/** The resources that an organisation counts, in a fixed order. */
export class Axes {
  readonly names: readonly ResourceName[];
  readonly #indexOf: ReadonlyMap<ResourceName, number>;

  /** With every class its total is counted, too. */
  constructor(named: Iterable<ResourceName>) {
    const all = new Set<ResourceName>();
    for (const name of named) {
      const total = totalOf(name);
      if (total !== undefined) all.add(total);
      all.add(name);
    }
    this.names = [...all].sort();
    this.#indexOf = new Map(this.names.map((name, at) => [name, at]));
  }

  /** What an ask or a promise comes to: an amount of a class counts in the total, unless the total is named itself. Names without an axis are left out. */
  sums(amounts: Amounts): Vector {
    const vector = new Float64Array(this.names.length);
    for (const [name, amount] of entriesOf(amounts)) {
      this.#add(vector, name, amount);
      const total = totalOf(name);
      if (total !== undefined && amounts[total] === undefined) this.#add(vector, total, amount);
    }
    return vector;
  }

  /** What a limit comes to: no bound where none is named. */
  bounds(amounts: Amounts): Vector {
    const vector = new Float64Array(this.names.length).fill(Number.POSITIVE_INFINITY);
    for (const [name, amount] of entriesOf(amounts)) {
      const at = this.#indexOf.get(name);
      if (at !== undefined) vector[at] = Math.round(1000 * amount);
    }
    return vector;
  }

  #add(vector: Vector, name: ResourceName, amount: number): void {
    const at = this.#indexOf.get(name);
    if (at !== undefined) vector[at] = (vector[at] ?? 0) + Math.round(1000 * amount);
  }
}
