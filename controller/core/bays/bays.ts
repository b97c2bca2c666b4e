import type { NodeName } from '@astrago/shared/domain/ids';
import { type AskFacts, askKey } from '../cluster/asked.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { ObservedGpu } from '../cluster/observed.ts';
import type { AskClass, Demand } from '../placement/demand.ts';
import { GpuStates } from '../placement/gpu-state.ts';
import { type Placement, PlacementIndex } from '../placement/placement-index.ts';
import type { PlacementPolicy } from '../placement/policy.ts';
import { type AskVariant, variantsOf } from './ask-variants.ts';
import { type Bay, baysOf, shapeOf } from './bay.ts';
import { GpuKinds } from './gpu-kind.ts';
import { isClosed, Pools } from './pools.ts';
import { openMilli } from './standing.ts';

/** @param capacity GPUs by pool. */
export type PolicyMaker = (demand: Demand, capacity: readonly number[]) => PlacementPolicy;

export interface Found {
  readonly bay: Bay;
  readonly variant: AskVariant;
  readonly placement: Placement;
}

/** The demand is looked at anew when so many submissions came since, or their number has doubled. */
const demandAgesAt = 2000;

/**
 * The cluster as placement sees it: bays under an index that finds the best one without looking at each. Derived from
 * the cluster and kept up to date with it, also when something is tried and undone.
 */
export class Bays {
  readonly #cluster: Cluster;
  readonly #makePolicy: PolicyMaker;
  #kinds = new GpuKinds();
  #states = new GpuStates();
  readonly #changed = new Set<NodeName>();
  /** Label keys that some ask has insisted on. */
  readonly #labelKeys = new Set<string>();
  #pools = new Pools();
  #bays: Bay[] = [];
  #ranks = new Map<NodeName, readonly number[]>();
  #index: PlacementIndex | undefined;
  #variants = new Map<string, readonly AskVariant[]>();
  #perModel = false;
  #demandAt = 0;

  constructor(cluster: Cluster, makePolicy: PolicyMaker) {
    this.#cluster = cluster;
    this.#makePolicy = makePolicy;
    cluster.watch((node) => this.#changed.add(node));
  }

  get states(): GpuStates {
    return this.#states;
  }

  /** Takes in what has changed. To be called before the others are. */
  refresh(): void {
    const { asked } = this.#cluster;
    const isDemandOld = asked.total - this.#demandAt >= Math.min(demandAgesAt, Math.max(16, this.#demandAt));
    if (this.#index === undefined || isDemandOld) this.#build();
    else if (this.#changed.size > 0) this.#update(this.#index);
  }

  /**
   * Drops all that was derived, with what it kept of earlier times: the demand as of then, numbers in the order in which
   * things came up. What is decided next is what a controller that has just started would decide.
   */
  forget(): void {
    this.#index = undefined;
    this.#kinds = new GpuKinds();
    this.#states = new GpuStates();
    this.#labelKeys.clear();
    this.#perModel = false;
  }

  /** The ways to meet an ask; none where no bay ever could. */
  variantsOf(facts: AskFacts): readonly AskVariant[] {
    const key = askKey(facts);
    const known = this.#variants.get(key);
    if (known !== undefined) return known;
    this.insistOn(Object.keys(facts.nodeLabels ?? {}));
    const made = variantsOf(facts, this.#pools, this.#perModel);
    this.#variants.set(key, made);
    return made;
  }

  /** Bays that differ in one of these labels are told apart from now on. */
  insistOn(labelKeys: readonly string[]): void {
    const fresh = labelKeys.filter((key) => !this.#labelKeys.has(key));
    if (fresh.length === 0) return;
    for (const key of fresh) this.#labelKeys.add(key);
    this.#build();
  }

  /** @param perModel whether some quota counts the GPUs of a model apart. */
  countPerModel(perModel: boolean): void {
    if (perModel === this.#perModel) return;
    this.#perModel = perModel;
    this.#variants.clear();
    this.#build();
  }

  /** The best place among the variants: the lowest tier that has any, and in it the best score. */
  find(variants: readonly AskVariant[], accept?: (bay: Bay) => boolean): Found | undefined {
    const index = this.#index;
    if (index === undefined) return undefined;
    let best: Found | undefined;
    for (const variant of variants) {
      if (best !== undefined && variant.tier > best.variant.tier) continue;
      const placement = accept === undefined ? index.find(variant.ask) : index.findWhere(variant.ask, (rank) => accept(this.#at(rank)));
      if (placement === undefined) continue;
      const isBetter = best === undefined || variant.tier < best.variant.tier || placement.score > best.placement.score;
      if (isBetter) best = { bay: this.#at(placement.node), variant, placement };
    }
    return best;
  }

  /** GPUs of a bay that nothing is held of. */
  untouched({ gpus, kind }: Bay): readonly ObservedGpu[] {
    return gpus.filter((gpu) => openMilli(this.#cluster, gpu, kind) === 1000);
  }

  /** All bays, in the fixed order. */
  all(): readonly Bay[] {
    this.refresh();
    return this.#bays;
  }

  #at(rank: number): Bay {
    // Ranks are only made here.
    return this.#bays[rank] as Bay;
  }

  #build(): void {
    const cluster = this.#cluster;
    this.#changed.clear();
    this.#pools = new Pools();
    this.#variants = new Map();
    const nodes = [...cluster.observed.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    const bays: Bay[] = [];
    this.#ranks = new Map();
    for (const node of nodes) {
      const own = baysOf(node, this.#kinds);
      this.#ranks.set(
        node.name,
        own.map((_, at) => bays.length + at),
      );
      bays.push(...own);
    }
    this.#bays = bays;
    const shapes = bays.map((bay) => shapeOf(cluster, bay, this.#poolOf(bay), this.#states));
    const capacity = new Array<number>(this.#pools.count).fill(0);
    shapes.forEach((shape, rank) => {
      capacity[shape.pool] = (capacity[shape.pool] ?? 0) + (bays[rank]?.gpus.length ?? 0);
    });
    this.#demandAt = cluster.asked.total;
    const policy = this.#makePolicy(this.#demand(), capacity);
    this.#index = new PlacementIndex(shapes, policy, { states: this.#states, uncut: this.#uncutStates() });
  }

  #update(index: PlacementIndex): void {
    if ([...this.#changed].every((name) => this.#reshape(index, name))) this.#changed.clear();
    else this.#build();
  }

  /** `false` when the node is not made of the bays that were known, or is in a pool that was not. */
  #reshape(index: PlacementIndex, name: NodeName): boolean {
    const node = this.#cluster.observed.get(name);
    const ranks = this.#ranks.get(name) ?? [];
    const own = node === undefined ? [] : baysOf(node, this.#kinds);
    if (ranks.length !== own.length || own.some((bay, at) => bay.kind !== this.#at(ranks[at] ?? 0).kind)) return false;
    const known = this.#pools.count;
    for (const [at, bay] of own.entries()) {
      const rank = ranks[at] ?? 0;
      this.#bays[rank] = bay;
      index.reshape(rank, shapeOf(this.#cluster, bay, this.#poolOf(bay), this.#states));
    }
    return this.#pools.count === known;
  }

  #poolOf({ node, kind }: Bay): number {
    const observed = this.#cluster.observed.get(node);
    if (observed === undefined || isClosed(this.#cluster, observed)) return 0;
    return this.#pools.idOf(kind, this.#cluster.nodes.get(node), [...this.#labelKeys].sort());
  }

  #uncutStates(): ReadonlyMap<number, number> {
    const uncut = new Map<number, number>();
    for (let pool = 1; pool < this.#pools.count; pool += 1) {
      const grid = this.#pools.at(pool)?.kind?.grid;
      if (grid !== undefined) uncut.set(pool, this.#states.idOf({ kind: 'cut', grid, held: [] }));
    }
    return uncut;
  }

  /** What was asked for lately. Before anything was, any one GPU is as likely as another. */
  #demand(): Demand {
    const classes: AskClass[] = [];
    const weights: number[] = [];
    for (const { facts, part } of this.#cluster.asked.parts()) {
      for (const { ask } of variantsOf(facts, this.#pools, false)) {
        if (ask.gpus === 0) continue;
        classes.push(ask);
        weights.push(part);
      }
    }
    return { classes, weights };
  }
}
