// Tables that need no mix: published rules, and the one that is used until a mix is known.
import { openStarts, type Potential, smoothedByDepartures, unusableFree } from './potential.ts';
import { type SetTable, tableBy, tableOfPotential, tightestAmongEqual, tightestFirst } from './set-table.ts';
import type { WindowSets } from './window-sets.ts';

/** A way to place, and the potential to weigh moves and known ends by. */
export interface Rule {
  readonly name: string;
  readonly table: SetTable;
  readonly potential: Potential;
}

/** How fast slices are let go in the rule without a mix: it looks a tenth of a lifetime ahead. */
const departureRate = 10;

/** The least growth of unusable free units, expected a short while from now. */
export function standingRule(sets: WindowSets): Rule {
  return byPotential('fragu-w10', sets, smoothedByDepartures(sets, unusableFree(sets), departureRate));
}

export function byPotential(name: string, sets: WindowSets, potential: Potential): Rule {
  return { name, table: tableOfPotential(sets, potential), potential };
}

/** Rules as published, by name; to compare with, and to choose among. */
export const publishedRules: Readonly<Record<string, (sets: WindowSets) => Rule>> = {
  'first-fit': (sets) => ({ name: 'first-fit', table: tableBy(sets, () => 0, 'ascending'), potential: openStarts(sets) }),
  'first-fit-nv': (sets) => ({ name: 'first-fit-nv', table: tableBy(sets, () => 0), potential: openStarts(sets) }),
  'best-fit': (sets) => ({
    name: 'best-fit',
    table: tableBy(sets, (before) => sets.free[before] ?? 0, 'ascending'),
    potential: openStarts(sets),
  }),
  mcc: (sets) => byPotential('mcc', sets, openStarts(sets)),
  'bf-mcc': (sets) => ({ name: 'bf-mcc', table: tightestFirst(sets, openStarts(sets)), potential: openStarts(sets) }),
  fragu: (sets) => byPotential('fragu', sets, unusableFree(sets)),
  'fragu-bf': (sets) => ({ name: 'fragu-bf', table: tightestAmongEqual(sets, unusableFree(sets)), potential: unusableFree(sets) }),
  'fragu-w10': standingRule,
};
