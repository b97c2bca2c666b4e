// Every layout that a device can have, under one number.
import type { MigGrid } from '@astrago/shared/domain/mig/grid';
import { claimsMediaEngines, type Profile, type ProfileName } from '@astrago/shared/domain/mig/profile';
import type { WantedSlice } from '@astrago/shared/domain/mig/slice';
import { mostTogether, type WindowSets, windowSetsOf } from './window-sets.ts';

/** Something a device has a number of, whatever the starts: sets of media engines, slices of a scarce profile. */
interface Limit {
  readonly most: number;
  /** By profile of the grid. */
  readonly takes: readonly number[];
}

/**
 * A layout is a set of windows together with what it has taken of each limit, since only that decides what is legal
 * beside it; which of several windows holds the media engines is told by whoever removes it. Numbers are dense but for
 * combinations that cannot occur.
 */
export interface LayoutCatalogue {
  readonly grid: MigGrid;
  readonly sets: WindowSets;
  /** Layouts are below this. */
  readonly size: number;
  /** `undefined` for slices that are not legal together. */
  idOf(slices: readonly WantedSlice[]): number | undefined;
  /** Slices that make up the layout: the ones it stands for, or others that leave as much. `undefined` where none do. */
  slicesOf(id: number): readonly WantedSlice[] | undefined;
  /** `undefined` where that slice would not be legal. */
  add(id: number, profile: ProfileName, start: number): number | undefined;
  /** `undefined` where no such slice can be in the layout. */
  remove(id: number, profile: ProfileName, start: number): number | undefined;
  /** The starts at which one more slice is legal, in the driver's order. */
  startsFree(id: number, profile: ProfileName): readonly number[];
  /** The set of windows behind a layout. */
  setOf(id: number): number;
  /** The number of the window that such a slice takes; `undefined` for a start or profile that the device does not have. */
  windowOf(profile: ProfileName, start: number): number | undefined;
  /** The kind of a profile if the limits of the layout allow one more, wherever it starts; `undefined` otherwise. */
  kindAllowed(id: number, profile: ProfileName): number | undefined;
  /** `undefined` for a profile that the device does not list. */
  kindOf(profile: ProfileName): number | undefined;
}

const setsMaxDefault = 2 ** 16;

/** `undefined` for a grid with more than `setsMax` sets of windows: too many to know one by one. */
export function layoutCatalogueOf(grid: MigGrid, setsMax: number = setsMaxDefault): LayoutCatalogue | undefined {
  const sets = windowSetsOf(grid, setsMax);
  if (sets === undefined) return undefined;
  const { kinds, plus, minus, windows } = sets;
  const limits = limitsOf(grid);
  const tallies = limits.reduce((product, { most }) => product * (most + 1), 1);
  const profiles = new Map(grid.profiles.map((profile, at) => [profile.name, { profile, at, kind: sets.kindOf[at] ?? 0 }]));
  const windowAt = (kind: number, start: number): number | undefined => kinds[kind]?.windows.find((at) => windows[at]?.start === start);

  /** The tally with one more (`sign` 1) or less (-1) of a profile, or `undefined` past a limit. */
  const tallied = (tally: number, profile: number, sign: 1 | -1): number | undefined => {
    let result = tally;
    let stride = 1;
    for (const { most, takes } of limits) {
      const used = Math.floor(tally / stride) % (most + 1);
      const after = used + sign * (takes[profile] ?? 0);
      if (after < 0 || after > most) return undefined;
      result += (after - used) * stride;
      stride *= most + 1;
    }
    return result;
  };
  const change = (id: number, name: ProfileName, start: number, sign: 1 | -1): number | undefined => {
    const known = profiles.get(name);
    const window = known === undefined ? undefined : windowAt(known.kind, start);
    if (known === undefined || window === undefined) return undefined;
    const set = (sign === 1 ? plus : minus)[Math.floor(id / tallies) * windows.length + window] ?? -1;
    const tally = tallied(id % tallies, known.at, sign);
    return set < 0 || tally === undefined ? undefined : set * tallies + tally;
  };
  const add = (id: number, name: ProfileName, start: number): number | undefined => change(id, name, start, 1);
  const kindAllowed = (id: number, name: ProfileName): number | undefined => {
    const known = profiles.get(name);
    return known === undefined || tallied(id % tallies, known.at, 1) === undefined ? undefined : known.kind;
  };

  const slicesOf = (id: number): readonly WantedSlice[] | undefined => {
    if (id === 0) return [];
    for (const [at, window] of windows.entries()) {
      if ((minus[Math.floor(id / tallies) * windows.length + at] ?? -1) < 0) continue;
      // Whichever window is looked at first, some profile of it must lead to the rest.
      for (const { profile, kind } of profiles.values()) {
        if (!kinds[kind]?.windows.includes(at)) continue;
        const rest = change(id, profile.name, window.start, -1);
        const others = rest === undefined ? undefined : slicesOf(rest);
        if (others !== undefined) return [...others, { profile: profile.name, start: window.start }];
      }
      return undefined;
    }
    return undefined;
  };

  return {
    grid,
    sets,
    size: sets.count * tallies,
    idOf: (slices) =>
      slices.reduce<number | undefined>((id, slice) => (id === undefined ? undefined : add(id, slice.profile, slice.start)), 0),
    slicesOf,
    add,
    remove: (id, name, start) => change(id, name, start, -1),
    startsFree(id, name) {
      const kind = kindAllowed(id, name);
      const set = Math.floor(id / tallies);
      const own = kind === undefined ? [] : (kinds[kind]?.windows ?? []);
      return own.filter((at) => (plus[set * windows.length + at] ?? -1) >= 0).map((at) => windows[at]?.start ?? 0);
    },
    windowOf(name, start) {
      const kind = profiles.get(name)?.kind;
      return kind === undefined ? undefined : windowAt(kind, start);
    },
    setOf: (id) => Math.floor(id / tallies),
    kindAllowed,
    kindOf: (name) => profiles.get(name)?.kind,
  };
}

/** Limits that the geometry does not keep anyway. One that another implies is left out. */
function limitsOf(grid: MigGrid): readonly Limit[] {
  const binding = (most: number, takes: (profile: Profile) => number): readonly Limit[] =>
    mostTogether(grid, takes) > most ? [{ most, takes: grid.profiles.map(takes) }] : [];
  const found = [
    ...binding(1, (profile) => Number(claimsMediaEngines(profile.name))),
    ...grid.profiles.flatMap((own) => binding(own.instancesMax, (profile) => Number(profile === own))),
  ];
  return found.filter(
    (limit, at) =>
      !found.some(
        (other, before) =>
          before < at && other.most <= limit.most && limit.takes.every((takes, profile) => takes <= (other.takes[profile] ?? 0)),
      ),
  );
}
