import { findCatalogModel } from '@astrago/shared/domain/mig/catalog';
import { type LayoutCatalogue, layoutCatalogueOf } from './layout-catalogue.ts';

/** Before any device was asked: the layouts of a model by its key in the catalog. `undefined` for one that is not in it. */
export function layoutCatalogueOfModel(key: string): LayoutCatalogue | undefined {
  const grid = findCatalogModel(key)?.grid;
  return grid === undefined ? undefined : layoutCatalogueOf(grid);
}
