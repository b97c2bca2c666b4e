import type { LayoutCatalogue } from '@astrago/controller/core/mig/layout-catalogue';
import { layoutCatalogueOfModel } from '@astrago/controller/core/mig/model-catalogue';
import type { Stream } from './simulate.ts';

/** All layouts of a catalogued model, and for each kind of slice the first profile of it that the device lists. */
export function gridFor(model: string): { readonly catalogue: LayoutCatalogue; readonly profiles: Stream['profiles'] } {
  const catalogue = layoutCatalogueOfModel(model);
  if (catalogue === undefined) throw new Error(`there is no model ${model} in the catalog`);
  const { kinds, kindOf } = catalogue.sets;
  const profiles = kinds.map((_, kind) => catalogue.grid.profiles[kindOf.indexOf(kind)]?.name).filter((name) => name !== undefined);
  return { catalogue, profiles };
}
