// Room for a slice that fits nowhere, by starting a few workloads elsewhere.
import { findProfile } from '@astrago/shared/domain/mig/grid';
import type { ProfileName } from '@astrago/shared/domain/mig/profile';
import { overlaps, spanOf, type WantedSlice } from '@astrago/shared/domain/mig/slice';
import type { Holdings, Occupant } from './holdings.ts';
import type { PlacementTable } from './placement-table.ts';

export interface Move {
  readonly gpu: number;
  readonly slice: WantedSlice;
  readonly toGpu: number;
  readonly toStart: number;
}

export interface Relocation {
  /** All of them are ended before any is started again. */
  readonly moves: readonly Move[];
  /** Where the slice goes that asked for room. */
  readonly gpu: number;
  readonly start: number;
  /** Placement units that are given up and taken again. */
  readonly unitsMoved: number;
  /** What the cluster is worth less afterwards, the new slice included, by the potential of the table. */
  readonly loss: number;
}

export interface RelocationSetting {
  readonly movesMax: number;
  /** GPUs of one layout that are looked at; they differ only in whose workloads they hold. */
  readonly gpusPerLayout: number;
}

export const relocationDefaults: RelocationSetting = { movesMax: 1, gpusPerLayout: 16 };

/** The fewest moves that make room and, among those, the least loss; `undefined` where `movesMax` are not enough. */
export function relocate(
  table: PlacementTable,
  holdings: Holdings,
  profile: ProfileName,
  setting: RelocationSetting = relocationDefaults,
): Relocation | undefined {
  const search = new Search(table, holdings, setting.gpusPerLayout);
  for (let moves = 1; moves <= setting.movesMax; moves += 1) {
    const found = search.makeRoom(profile, moves, new Map());
    if (found === undefined) continue;
    const { now: _, ...relocation } = found;
    return relocation;
  }
  return undefined;
}

interface Supposed {
  readonly layout: number;
  /** Those that were there from the start and still are; what came since stays where it is. */
  readonly occupants: readonly Occupant[];
}

/** GPUs that are supposed to hold something else than they do. */
type Suppositions = ReadonlyMap<number, Supposed>;

interface Found extends Relocation {
  /** What is supposed once all of it is done. */
  readonly now: Suppositions;
}

class Search {
  readonly #table: PlacementTable;
  readonly #holdings: Holdings;
  readonly #gpusPerLayout: number;
  readonly #buckets: readonly (readonly [layout: number, gpus: readonly number[]])[];
  /** Buckets in which a profile fits, the cheapest first. */
  readonly #ranked = new Map<ProfileName, readonly (readonly [cost: number, gpus: readonly number[]])[]>();

  constructor(table: PlacementTable, holdings: Holdings, gpusPerLayout: number) {
    this.#table = table;
    this.#holdings = holdings;
    this.#gpusPerLayout = gpusPerLayout;
    this.#buckets = [...holdings.gpus.buckets()];
  }

  makeRoom(profile: ProfileName, moves: number, supposed: Suppositions): Found | undefined {
    const starts = findProfile(this.#table.catalogue.grid, profile)?.starts ?? [];
    let best: Found | undefined;
    for (const gpu of this.#candidates(supposed))
      for (const start of starts) {
        const found = this.#clear(gpu, { profile, start }, moves, supposed);
        if (found !== undefined && (best === undefined || found.loss < best.loss)) best = found;
      }
    return best;
  }

  *#candidates(supposed: Suppositions): Generator<number> {
    yield* supposed.keys();
    for (const [, gpus] of this.#buckets) for (const gpu of gpus.slice(0, this.#gpusPerLayout)) if (!supposed.has(gpu)) yield gpu;
  }

  /** One place made free: whatever overlaps it goes elsewhere. */
  #clear(gpu: number, slice: WantedSlice, moves: number, supposed: Suppositions): Found | undefined {
    const { catalogue } = this.#table;
    const before = this.#at(gpu, supposed);
    const span = spanOf(catalogue.grid, slice);
    if (before === undefined || span === undefined) return undefined;
    const inTheWay = before.occupants.filter((one) => overlaps(span, spanOf(catalogue.grid, one) ?? span));
    if (inTheWay.length === 0 || inTheWay.length > moves || inTheWay.some(({ movable }) => !movable)) return undefined;
    let after: number | undefined = before.layout;
    for (const one of inTheWay) after = after === undefined ? undefined : catalogue.remove(after, one.profile, one.start);
    after = after === undefined ? undefined : catalogue.add(after, slice.profile, slice.start);
    if (after === undefined) return undefined;
    let loss = this.#loss(before.layout, after);
    const occupants = before.occupants.filter((one) => !inTheWay.includes(one));
    let now: Suppositions = new Map(supposed).set(gpu, { layout: after, occupants });
    const done: Move[] = [];
    let spare = moves - inTheWay.length;
    let unitsMoved = 0;
    // The largest are the hardest to place.
    for (const one of inTheWay.toSorted((a, b) => this.#sizeOf(b) - this.#sizeOf(a))) {
      const place: Found | undefined = this.#cheapest(one.profile, now) ?? (spare > 0 ? this.makeRoom(one.profile, spare, now) : undefined);
      if (place === undefined) return undefined;
      now = place.now;
      spare -= place.moves.length;
      done.push(...place.moves, { gpu, slice: { profile: one.profile, start: one.start }, toGpu: place.gpu, toStart: place.start });
      loss += place.loss;
      unitsMoved += this.#sizeOf(one) + place.unitsMoved;
    }
    return { moves: done, gpu, start: slice.start, unitsMoved, loss, now };
  }

  /** The free place that the table likes best. */
  #cheapest(profile: ProfileName, supposed: Suppositions): Found | undefined {
    let best = Number.POSITIVE_INFINITY;
    let gpu: number | undefined;
    for (const [cost, gpus] of this.#rankedFor(profile)) {
      gpu = gpus.find((one) => !supposed.has(one));
      if (gpu === undefined) continue;
      best = cost;
      break;
    }
    for (const [one, { layout }] of supposed) {
      const cost = this.#table.costOf(profile, layout);
      if (cost === undefined || cost >= best) continue;
      best = cost;
      gpu = one;
    }
    const before = gpu === undefined ? undefined : this.#at(gpu, supposed);
    const start = before === undefined ? undefined : this.#table.startOf(profile, before.layout);
    if (gpu === undefined || before === undefined || start === undefined) return undefined;
    const layout = this.#table.catalogue.add(before.layout, profile, start);
    if (layout === undefined) return undefined;
    const now = new Map(supposed).set(gpu, { layout, occupants: before.occupants });
    return { moves: [], gpu, start, unitsMoved: 0, loss: this.#loss(before.layout, layout), now };
  }

  #rankedFor(profile: ProfileName): readonly (readonly [cost: number, gpus: readonly number[]])[] {
    let ranked = this.#ranked.get(profile);
    if (ranked === undefined) {
      const costs = this.#table.costsOf(profile);
      ranked = this.#buckets
        .map(([layout, gpus]) => [costs[layout] ?? Number.POSITIVE_INFINITY, gpus] as const)
        .filter(([cost]) => cost < Number.POSITIVE_INFINITY)
        .sort(([a, first], [b, second]) => a - b || (first[0] ?? 0) - (second[0] ?? 0));
      this.#ranked.set(profile, ranked);
    }
    return ranked;
  }

  #at(gpu: number, supposed: Suppositions): Supposed | undefined {
    const known = supposed.get(gpu);
    const layout = this.#holdings.gpus.of(gpu);
    return known ?? (layout === undefined ? undefined : { layout, occupants: this.#holdings.occupantsOf(gpu) });
  }

  #loss(before: number, after: number): number {
    const { potential, catalogue } = this.#table;
    return (potential[catalogue.setOf(before)] ?? 0) - (potential[catalogue.setOf(after)] ?? 0);
  }

  #sizeOf(slice: WantedSlice): number {
    return spanOf(this.#table.catalogue.grid, slice)?.size ?? 0;
  }
}
