// Placing with an eye to when things end: what a slice costs is summed over its stay, while its neighbours leave.
import { findProfile } from '@astrago/shared/domain/mig/grid';
import type { ProfileName } from '@astrago/shared/domain/mig/profile';
import type { Holdings } from './holdings.ts';
import type { PlacementTable } from './placement-table.ts';

export interface KnownEndsSetting {
  /** How fast what comes later loses weight, in a mean lifetime. */
  readonly discount: number;
  /** GPUs that are weighed at most, those first that the table likes. */
  readonly gpusMax: number;
}

export const knownEndsDefaults: KnownEndsSetting = { discount: 3, gpusMax: 256 };

export interface TimedPlace {
  readonly gpu: number;
  readonly start: number;
  /** Loss of potential, discounted and summed over the stay. */
  readonly cost: number;
}

/**
 * The place of least cost; the first that the table likes among equals. `undefined` where the profile fits nowhere.
 *
 * @param stay how long the slice is expected to be held, in mean lifetimes; absent where nothing is known.
 */
export function placeByEnds(
  table: PlacementTable,
  holdings: Holdings,
  profile: ProfileName,
  stay: number | undefined,
  setting: KnownEndsSetting = knownEndsDefaults,
): TimedPlace | undefined {
  const starts = findProfile(table.catalogue.grid, profile)?.starts ?? [];
  let best: TimedPlace | undefined;
  for (const gpu of candidates(table, holdings, profile, setting.gpusMax)) {
    const spells = spellsOf(table, holdings, gpu, stay, setting.discount);
    for (const start of starts) {
      const cost = costOver(table, profile, start, spells);
      if (cost !== undefined && (best === undefined || cost < best.cost)) best = { gpu, start, cost };
    }
  }
  return best;
}

/** How long a slice is still expected to stay that was announced for `declared` and is `age` old. */
export function remainingOf(declared: number, age: number): number {
  // Who is overdue stays on in proportion to what he has stayed.
  return declared > age ? declared - age : age / 2;
}

function candidates(table: PlacementTable, holdings: Holdings, profile: ProfileName, most: number): readonly number[] {
  const costs = table.costsOf(profile);
  const found: number[] = [];
  const ranked = [...holdings.gpus.buckets()]
    .map(([layout, gpus]) => ({ cost: costs[layout] ?? Number.POSITIVE_INFINITY, gpus }))
    .filter(({ cost }) => cost < Number.POSITIVE_INFINITY)
    .sort((a, b) => a.cost - b.cost || (a.gpus[0] ?? 0) - (b.gpus[0] ?? 0));
  for (const { gpus } of ranked) {
    if (found.length >= most) break;
    found.push(...gpus.slice(0, most - found.length));
  }
  return found;
}

/** What the GPU holds for a while, and the weight of that while. */
interface Spell {
  readonly layout: number;
  readonly set: number;
  readonly weight: number;
}

function spellsOf(table: PlacementTable, holdings: Holdings, gpu: number, stay: number | undefined, discount: number): readonly Spell[] {
  const { catalogue } = table;
  // A stay of unknown length ends at any moment alike, which discounts as much as the rate of it.
  const rate = stay === undefined ? discount + 1 : discount;
  const until = stay ?? Number.POSITIVE_INFINITY;
  const spells: Spell[] = [];
  let layout = holdings.gpus.of(gpu) ?? 0;
  let from = 0;
  const hold = (to: number): void => {
    spells.push({ layout, set: catalogue.setOf(layout), weight: (Math.exp(-rate * from) - Math.exp(-rate * to)) / rate });
  };
  for (const one of holdings.occupantsOf(gpu).toSorted((a, b) => (a.remaining ?? 1) - (b.remaining ?? 1))) {
    const end = one.remaining ?? 1;
    if (end >= until) break;
    hold(end);
    from = end;
    layout = catalogue.remove(layout, one.profile, one.start) ?? layout;
  }
  hold(until);
  return spells;
}

function costOver(table: PlacementTable, profile: ProfileName, start: number, spells: readonly Spell[]): number | undefined {
  const { catalogue, potential } = table;
  const first = spells[0];
  if (first === undefined || catalogue.add(first.layout, profile, start) === undefined) return undefined;
  const { plus, windows } = catalogue.sets;
  const window = catalogue.windowOf(profile, start) ?? 0;
  let cost = 0;
  for (const { set, weight } of spells)
    cost += weight * ((potential[set] ?? 0) - (potential[plus[set * windows.length + window] ?? 0] ?? 0));
  return cost;
}
