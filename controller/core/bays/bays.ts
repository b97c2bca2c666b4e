import type { NodeName } from '@astrago/shared/domain/ids';
import type { AskFacts } from '../cluster/asked.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { ObservedGpu, ObservedNode } from '../cluster/observed.ts';
import type { NodeRecord } from '../cluster/records.ts';
import type { UncutStates } from '../placement/cut-outcomes.ts';
import { GpuStates } from '../placement/gpu-state.ts';
import { type Placement, PlacementIndex } from '../placement/placement-index.ts';
import type { PlacementPolicy } from '../placement/policy.ts';
import { freeGpus, freeMilli, type Shape } from '../placement/shape.ts';
import { type AskVariant, variantsOf } from './ask-variants.ts';
import { type Bay, baysOf, shapeOf } from './bay.ts';
import { GpuKinds } from './gpu-kind.ts';
import { type Basis, demandOf, isNews, type Outlook } from './outlook.ts';
import { isClosed, Pools } from './pools.ts';
import { openMilli } from './standing.ts';

export type PolicyMaker = (outlook: Outlook) => PlacementPolicy;

export interface Found {
  readonly bay: Bay;
  readonly variant: AskVariant;
  readonly placement: Placement;
}

/** The outlook is looked at anew when so many submissions came since, or their number has doubled. */
const outlookAgesAt = 500;
/** On a large cluster it takes more of them to change anything, and each look costs more. */
const baysPerSubmission = 4;
/** More asks than this are not remembered. */
const variantsMax = 4096;

/** A node as it was when its bays were made. */
interface Seat {
  readonly observed: ObservedNode;
  readonly record: NodeRecord | undefined;
  readonly bays: readonly Bay[];
  readonly pools: readonly number[];
  /** Of its first bay; the others follow. */
  readonly rank: number;
}

/**
 * The cluster as placement sees it: bays under an index that finds the best one without looking at each. Derived from
 * the cluster and kept up to date with it, also when something is tried and undone. What it answers depends on what the
 * cluster is, not on how it came to be; only the demand that its policy was made for may be a little older.
 */
export class Bays {
  readonly #cluster: Cluster;
  readonly #makePolicy: PolicyMaker;
  #kinds = new GpuKinds();
  #states = new GpuStates();
  readonly #changed = new Set<NodeName>();
  /** Label keys that some ask has insisted on, ascending. */
  #labelKeys: readonly string[] = [];
  #pools = new Pools();
  #poolCount = 0;
  #bays: Bay[] = [];
  #seats = new Map<NodeName, Seat>();
  /** While the index is made. */
  #shapes: readonly Shape[] = [];
  #index: PlacementIndex | undefined;
  #uncut: UncutStates = new Map();
  #variants = new Map<string, readonly AskVariant[]>();
  #perModel = false;
  #lookedAt = 0;
  #basis: Basis | undefined;
  /** What was derived before something was tried that changed what bays or pools there are. */
  #aside: Aside | undefined;

  constructor(cluster: Cluster, makePolicy: PolicyMaker) {
    this.#cluster = cluster;
    this.#makePolicy = makePolicy;
    cluster.watch((node) => {
      this.#changed.add(node);
      this.#aside?.changed.add(node);
    });
    cluster.watchTrials(() => this.#takeBack());
  }

  get states(): GpuStates {
    return this.#states;
  }

  /** The states of untouched GPUs that can be cut, by pool. */
  get uncut(): UncutStates {
    return this.#uncut;
  }

  /** Takes in what has changed. To be called before the others are. */
  refresh(): void {
    if (this.#index === undefined) this.#build();
    else if (this.#changed.size > 0) this.#update(this.#index);
  }

  /** Lets the policy know what has become of the demand. Not while something is tried, which is no news. */
  lookAround(): void {
    const { asked, isTrying } = this.#cluster;
    this.refresh();
    if (isTrying) return;
    this.insistOn(asked.labelKeys);
    const oldAt = Math.max(outlookAgesAt, this.#bays.length / baysPerSubmission);
    const isOld = asked.total - this.#lookedAt >= Math.min(oldAt, Math.max(16, this.#lookedAt));
    if (this.#basis?.isOfTrial !== true && this.#basis?.pools === this.#pools && !isOld) return;
    this.#lookedAt = asked.total;
    const basis = this.#basisNow();
    if (this.#basis !== undefined && !isNews(this.#basis, basis)) return;
    this.#basis = basis;
    this.#index?.usePolicy(this.#policy());
  }

  /**
   * Drops all that was derived, with what it kept of earlier times: the demand as of then, numbers in the order in which
   * things came up. What is decided next is what a controller that has just started would decide.
   */
  forget(): void {
    this.#index = undefined;
    this.#kinds = new GpuKinds();
    this.#states = new GpuStates();
    this.#labelKeys = [];
    this.#perModel = false;
    this.#basis = undefined;
    this.#aside = undefined;
  }

  /** The ways to meet an ask; none where no bay ever could. */
  variantsOf(key: string, facts: AskFacts): readonly AskVariant[] {
    const known = this.#variants.get(key);
    if (known !== undefined) return known;
    this.insistOn(Object.keys(facts.nodeLabels ?? {}));
    if (this.#variants.size >= variantsMax) this.#forget();
    const made = variantsOf(facts, this.#pools, this.#perModel);
    this.#variants.set(key, made);
    return made;
  }

  /** Bays that differ in one of these labels are told apart from now on. */
  insistOn(labelKeys: readonly string[]): void {
    const fresh = labelKeys.filter((key) => !this.#labelKeys.includes(key));
    if (fresh.length === 0) return;
    this.#putAside();
    this.#labelKeys = [...this.#labelKeys, ...fresh].sort();
    const isCarried = [...this.#cluster.nodes.values()].some(({ labels }) => fresh.some((key) => labels?.[key] !== undefined));
    if (isCarried) this.#build();
  }

  /** @param perModel whether some quota counts the GPUs of a model apart. */
  countPerModel(perModel: boolean): void {
    if (perModel === this.#perModel) return;
    this.#perModel = perModel;
    this.#forget();
  }

  /** The best place among the variants: the lowest tier that has any, in it the best score, and the first of equals. */
  find(variants: readonly AskVariant[], accept?: (bay: Bay) => boolean): Found | undefined {
    const index = this.#index;
    if (index === undefined) return undefined;
    let best: Found | undefined;
    for (const variant of variants) {
      if (best !== undefined && variant.tier > best.variant.tier) continue;
      // Mostly the best one is accepted, and found at once.
      const top = index.find(variant.ask);
      const placement =
        accept === undefined || top === undefined || accept(this.#at(top.node))
          ? top
          : index.findWhere(variant.ask, (rank) => accept(this.#at(rank)));
      if (placement === undefined) continue;
      if (best === undefined || isBetter(variant, placement, best)) best = { bay: this.#at(placement.node), variant, placement };
    }
    return best;
  }

  /** GPUs of a bay that nothing is held of. */
  untouched({ gpus, kind }: Bay): readonly ObservedGpu[] {
    return gpus.filter((gpu) => openMilli(this.#cluster, gpu, kind) === 1000);
  }

  /** Bays that could meet an ask if nothing were held of them. */
  eligible(variants: readonly AskVariant[]): readonly Bay[] {
    const pools = new Set(variants.flatMap(({ ask }) => [...(ask.pools ?? [])]));
    return this.#bays.filter((_, rank) => pools.has(this.#index?.shapeOf(rank).pool ?? 0));
  }

  /** All bays in the fixed order, and how many of their GPUs nothing is held of; none where the node takes nothing now. */
  room(): readonly { readonly bay: Bay; readonly untouched: number }[] {
    this.refresh();
    return this.#bays.map((bay, rank) => {
      const shape = this.shapeAt(rank);
      return { bay, untouched: shape === undefined || shape.pool === 0 ? 0 : freeGpus(shape.gpus) };
    });
  }

  /** What is free of the bay with this rank; absent where there is none. */
  shapeAt(rank: number): Shape | undefined {
    return rank < this.#bays.length ? this.#index?.shapeOf(rank) : undefined;
  }

  #at(rank: number): Bay {
    // Ranks are only made here.
    return this.#bays[rank] as Bay;
  }

  #forget(): void {
    this.#variants.clear();
    this.#index?.forget();
  }

  #build(): void {
    const cluster = this.#cluster;
    this.#putAside();
    this.#changed.clear();
    this.#pools = new Pools();
    this.#variants = new Map();
    this.#bays = [];
    this.#seats = new Map();
    const shapes: Shape[] = [];
    for (const node of [...cluster.observed.values()].sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const seat = this.#seatOf(node, this.#bays.length, undefined);
      this.#seats.set(node.name, seat);
      for (const [at, bay] of seat.bays.entries()) {
        this.#bays.push(bay);
        shapes.push(shapeOf(cluster, bay, seat.pools[at] ?? 0, this.#states));
      }
    }
    this.#uncut = this.#uncutStates();
    this.#shapes = shapes;
    if (this.#basis === undefined || !cluster.isTrying) this.#basis = this.#basisNow();
    this.#index = new PlacementIndex(shapes, this.#policy(), { states: this.#states, uncut: this.#uncut });
    this.#shapes = [];
    this.#poolCount = this.#pools.count;
  }

  /** What is made in a trial is for that trial: the policy that goes with it was made for what is only tried. */
  #putAside(): void {
    const [index, pools, bays, seats, uncut] = [this.#index, this.#pools, this.#bays, this.#seats, this.#uncut];
    if (!this.#cluster.isTrying || index === undefined || this.#aside !== undefined) return;
    const [poolCount, variants, labelKeys, perModel] = [this.#poolCount, this.#variants, this.#labelKeys, this.#perModel];
    this.#aside = { index, pools, poolCount, bays, seats, uncut, variants, labelKeys, perModel, changed: new Set(this.#changed) };
  }

  #takeBack(): void {
    const aside = this.#aside;
    if (aside === undefined) return;
    this.#aside = undefined;
    this.#index = aside.index;
    this.#pools = aside.pools;
    this.#bays = aside.bays;
    this.#seats = aside.seats;
    this.#uncut = aside.uncut;
    // A node that was of no known pool has left its number behind.
    aside.pools.keepFirst(aside.poolCount);
    this.#variants = aside.variants;
    this.#labelKeys = aside.labelKeys;
    this.#perModel = aside.perModel;
    this.#poolCount = aside.poolCount;
    for (const node of aside.changed) this.#changed.add(node);
  }

  #update(index: PlacementIndex): void {
    for (const name of this.#changed)
      if (!this.#reshape(index, name)) {
        this.#build();
        return;
      }
    this.#changed.clear();
  }

  /** `false` when the node is not made of the bays that were known, or is in a pool that was not. */
  #reshape(index: PlacementIndex, name: NodeName): boolean {
    const cluster = this.#cluster;
    const observed = cluster.observed.get(name);
    let seat = this.#seats.get(name);
    if (observed === undefined || seat === undefined) return observed === undefined && seat === undefined;
    if (seat.observed !== observed || seat.record !== cluster.nodes.get(name)) {
      const known = this.#pools.count;
      const next = this.#seatOf(observed, seat.rank, seat);
      if (this.#pools.count !== known || !isAlike(seat, next)) return false;
      for (const [at, bay] of next.bays.entries()) this.#bays[next.rank + at] = bay;
      this.#seats.set(name, next);
      seat = next;
    }
    for (let at = 0; at < seat.bays.length; at += 1)
      index.reshape(seat.rank + at, shapeOf(cluster, this.#at(seat.rank + at), seat.pools[at] ?? 0, this.#states));
    return true;
  }

  #seatOf(observed: ObservedNode, rank: number, before: Seat | undefined): Seat {
    const record = this.#cluster.nodes.get(observed.name);
    const bays = before?.observed.gpus === observed.gpus ? before.bays : baysOf(observed, this.#kinds);
    const isOut = isClosed(this.#cluster, observed);
    const pools = bays.map(({ kind }) => (isOut ? 0 : this.#pools.idOf(kind, record, this.#labelKeys)));
    return { observed, record, bays, pools, rank };
  }

  #uncutStates(): UncutStates {
    const uncut = new Map<number, number>();
    for (let pool = 1; pool < this.#pools.count; pool += 1) {
      const grid = this.#pools.at(pool)?.kind?.grid;
      if (grid !== undefined) uncut.set(pool, this.#states.idOf({ kind: 'cut', grid, held: [] }));
    }
    return uncut;
  }

  /** As the cluster is now. */
  #basisNow(): Basis {
    const { asked, isTrying } = this.#cluster;
    this.#lookedAt = asked.total;
    const capacity = new Float64Array(this.#pools.count);
    const free = new Float64Array(this.#pools.count);
    for (let rank = 0; rank < this.#bays.length; rank += 1) {
      const shape = this.#shapes[rank] ?? this.shapeAt(rank);
      if (shape === undefined) continue;
      const { pool, gpus } = shape;
      capacity[pool] = (capacity[pool] ?? 0) + this.#at(rank).gpus.length;
      free[pool] = (free[pool] ?? 0) + freeMilli(gpus);
    }
    const byKey = (amounts: Float64Array, unit: number): ReadonlyMap<string, number> =>
      new Map([...amounts].map((amount, pool) => [this.#pools.keyOf(pool), amount / unit]));
    const [parts, turnover] = [asked.parts(), asked.turnover];
    return { parts, turnover, capacity: byKey(capacity, 1), free: byKey(free, 1000), pools: this.#pools, isOfTrial: isTrying };
  }

  #policy(): PlacementPolicy {
    const basis = this.#basis ?? this.#basisNow();
    const { parts, turnover } = basis;
    const byPool = (amounts: ReadonlyMap<string, number>): readonly number[] =>
      Array.from({ length: this.#pools.count }, (_, pool) => amounts.get(this.#pools.keyOf(pool)) ?? 0);
    return this.#makePolicy({ demand: demandOf(parts, this.#pools), capacity: byPool(basis.capacity), free: byPool(basis.free), turnover });
  }
}

interface Aside {
  readonly index: PlacementIndex;
  readonly pools: Pools;
  readonly bays: Bay[];
  readonly seats: Map<NodeName, Seat>;
  readonly uncut: UncutStates;
  /** As many as there were when the index was made. */
  readonly poolCount: number;
  readonly variants: Map<string, readonly AskVariant[]>;
  readonly labelKeys: readonly string[];
  readonly perModel: boolean;
  /** Nodes about which something has changed since, if only for the trial. */
  readonly changed: Set<NodeName>;
}

function isBetter(variant: AskVariant, { score, node }: Placement, { variant: other, placement }: Found): boolean {
  if (variant.tier !== other.tier) return variant.tier < other.tier;
  return score > placement.score || (score === placement.score && node < placement.node);
}

function isAlike(one: Seat, other: Seat): boolean {
  return one.bays.length === other.bays.length && one.bays.every(({ kind }, at) => kind === other.bays[at]?.kind);
}
