import { invariant } from '@astrago/shared/domain/invariant';
import type { Vector } from './amounts.ts';
import type { QuotaNode, QuotaTree } from './quota-tree.ts';

/** Running work as its quota sees it. */
export interface Charge {
  readonly id: string;
  readonly leaf: QuotaNode;
  readonly amount: Vector;
  /** Of the work inside its leaf; higher is kept longer. */
  readonly priority: number;
  readonly startedAtMs: number;
  /** Order of start; never used twice. */
  readonly sequence: number;
}

interface LeafCharges {
  readonly kept: Set<Charge>;
  /** In order of start but for what was put back by an undo or a change of quotas; read through `borrowedOf`. */
  readonly borrowed: Set<Charge>;
}

type Undo = () => void;

/**
 * What runs, each piece labelled once it starts: kept by a guarantee, or borrowed. Whatever is borrowed may be taken
 * back, and taking all of it back makes room for anything that is within its guarantee. Each change returns its inverse;
 * inverses are called latest first.
 */
export class QuotaAccount {
  readonly tree: QuotaTree;
  readonly #charges = new Map<string, Charge>();
  readonly #byLeaf = new Map<QuotaNode, LeafCharges>();

  constructor(tree: QuotaTree) {
    this.tree = tree;
  }

  all(): Iterable<Charge> {
    return this.#charges.values();
  }

  isBorrowed(charge: Charge): boolean {
    return this.#leaf(charge.leaf).borrowed.has(charge);
  }

  /** Of one leaf, the first started first. */
  borrowedOf(leaf: QuotaNode): readonly Charge[] {
    return [...this.#leaf(leaf).borrowed].sort((a, b) => a.sequence - b.sequence);
  }

  keptOf(leaf: QuotaNode): readonly Charge[] {
    return [...this.#leaf(leaf).kept].sort((a, b) => a.sequence - b.sequence);
  }

  /** `borrow: true` leaves the guarantee to others although there is room in it. Counts what it is given: whether it may is `tree.admit`'s to say. */
  start(charge: Charge, options: { readonly borrow?: boolean } = {}): Undo {
    invariant(!this.#charges.has(charge.id), `${charge.id} is charged once`);
    const borrowed = options.borrow === true || !this.tree.fitsGuarantee(charge.leaf, charge.amount);
    this.#put(charge, borrowed);
    return () => this.#take(charge, borrowed);
  }

  /**
   * Ends it, and promotes borrowed work of the same leaf into the guarantee that it leaves, the first started first;
   * `promote: false` keeps that room for something that waits.
   */
  end(id: string, options: { readonly promote?: boolean } = {}): Undo {
    const charge = this.#charges.get(id);
    invariant(charge !== undefined, `${id} is charged`);
    const borrowed = this.isBorrowed(charge);
    this.#take(charge, borrowed);
    const undoPromotion = borrowed || options.promote === false ? undefined : this.promote(charge.leaf);
    return () => {
      undoPromotion?.();
      this.#put(charge, borrowed);
    };
  }

  promote(leaf: QuotaNode): Undo {
    const { borrowed } = this.#leaf(leaf);
    if (borrowed.size === 0) return nothing;
    return this.#label(
      this.borrowedOf(leaf).filter((charge) => {
        const fits = this.tree.fitsGuarantee(leaf, charge.amount);
        if (fits) this.#move(charge, false);
        return fits;
      }),
      true,
    );
  }

  /** After quotas or capacity have changed: what no longer fits its guarantee becomes borrowed, the last started first; then promotes. */
  relabel(): Undo {
    const undos: Undo[] = [];
    const leaves = [...this.#byLeaf.keys()].sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const leaf of leaves) {
      const demoted = this.keptOf(leaf)
        .toReversed()
        .filter((charge) => {
          const over = this.tree.exceedsGuarantee(leaf, charge.amount);
          if (over) this.#move(charge, true);
          return over;
        });
      undos.push(this.#label(demoted, false));
    }
    for (const leaf of leaves) undos.push(this.promote(leaf));
    return () => {
      for (const undo of undos.reverse()) undo();
    };
  }

  /** The inverse of having moved them one after the other. */
  #label(moved: readonly Charge[], borrowed: boolean): Undo {
    return () => {
      for (const charge of moved.toReversed()) this.#move(charge, borrowed);
    };
  }

  #move(charge: Charge, borrowed: boolean): void {
    const { kept, borrowed: lent } = this.#leaf(charge.leaf);
    const [from, to] = borrowed ? [kept, lent] : [lent, kept];
    invariant(from.delete(charge), `${charge.id} has the other label`);
    to.add(charge);
    this.tree.relabel(charge.leaf, charge.amount, borrowed ? -1 : 1);
  }

  #put(charge: Charge, borrowed: boolean): void {
    const { kept, borrowed: lent } = this.#leaf(charge.leaf);
    this.#charges.set(charge.id, charge);
    (borrowed ? lent : kept).add(charge);
    this.tree.charge(charge.leaf, charge.amount, borrowed);
  }

  #take(charge: Charge, borrowed: boolean): void {
    const { kept, borrowed: lent } = this.#leaf(charge.leaf);
    this.#charges.delete(charge.id);
    invariant((borrowed ? lent : kept).delete(charge), `${charge.id} has its label`);
    this.tree.release(charge.leaf, charge.amount, borrowed);
  }

  #leaf(leaf: QuotaNode): LeafCharges {
    const known = this.#byLeaf.get(leaf);
    if (known !== undefined) return known;
    const fresh: LeafCharges = { kept: new Set(), borrowed: new Set() };
    this.#byLeaf.set(leaf, fresh);
    return fresh;
  }
}

const nothing: Undo = () => undefined;
