// What a rule says of every profile and layout of a device: the table that decisions read.
import type { MigGrid } from '@astrago/shared/domain/mig/grid';
import type { ProfileName } from '@astrago/shared/domain/mig/profile';
import { type LayoutCatalogue, layoutCatalogueOf } from './layout-catalogue.ts';
import type { Potential } from './potential.ts';
import { type Rule, standingRule } from './standing-rules.ts';

export interface PlacementTable {
  readonly name: string;
  readonly catalogue: LayoutCatalogue;
  /** By set of windows; what moves and known ends are weighed by. */
  readonly potential: Potential;
  /** By layout: what a slice of the profile costs there; infinite where it does not fit. Lower is better. */
  costsOf(profile: ProfileName): Float64Array;
  /** `undefined` where the profile does not fit. */
  costOf(profile: ProfileName, layout: number): number | undefined;
  /** Where it goes; `undefined` where it does not fit. */
  startOf(profile: ProfileName, layout: number): number | undefined;
}

/** By the standing rule, until a mix is known. `undefined` for a grid with too many layouts to know one by one. */
export function tableFor(grid: MigGrid): PlacementTable | undefined {
  const catalogue = layoutCatalogueOf(grid);
  return catalogue === undefined ? undefined : placementTableOf(catalogue, standingRule(catalogue.sets));
}

export function placementTableOf(catalogue: LayoutCatalogue, rule: Rule): PlacementTable {
  const { sets, size } = catalogue;
  const { cost, window } = rule.table;
  const known = new Map<ProfileName, Float64Array>();
  const entry = (profile: ProfileName, layout: number): number | undefined => {
    const kind = catalogue.kindAllowed(layout, profile);
    const at = kind === undefined ? -1 : kind * sets.count + catalogue.setOf(layout);
    return (window[at] ?? -1) < 0 ? undefined : at;
  };
  const costOf = (profile: ProfileName, layout: number): number | undefined => {
    const at = entry(profile, layout);
    return at === undefined ? undefined : cost[at];
  };
  return {
    name: rule.name,
    catalogue,
    potential: rule.potential,
    costsOf(profile) {
      let costs = known.get(profile);
      if (costs === undefined) {
        costs = Float64Array.from({ length: size }, (_, layout) => costOf(profile, layout) ?? Number.POSITIVE_INFINITY);
        known.set(profile, costs);
      }
      return costs;
    },
    costOf,
    startOf(profile, layout) {
      const at = entry(profile, layout);
      return at === undefined ? undefined : sets.windows[window[at] ?? 0]?.start;
    },
  };
}
