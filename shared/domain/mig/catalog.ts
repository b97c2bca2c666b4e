// What is known of models before a device was asked: for planning ahead of a node, and to notice a listing that
// differs from every one seen so far. The device's own listing always wins.
import { invariant } from '../invariant.ts';
import { catalogEntries } from './catalog-data.ts';
import { gridOf, type MigGrid } from './grid.ts';
import { computeSlicesOf, nominalMemoryGb, type Profile, parseProfileName } from './profile.ts';

export interface CatalogModel {
  readonly key: string;
  /** As the driver prints them. */
  readonly productNames: readonly string[];
  /** Ampere: the mode becomes effective at a reset, and the driver cannot always do it at once. */
  readonly modeChangeNeedsReset: boolean;
  /** Where no listing was recorded, `memoryMiB` is what the name promises. */
  readonly grid: MigGrid;
}

export const catalogModels: readonly CatalogModel[] = catalogEntries.map((entry) => {
  const profiles = entry.profiles.map(([text, gpuInstanceProfileId, size, starts, instancesMax, gib]): Profile => {
    const name = parseProfileName(text);
    invariant(name !== undefined, `the catalog has a profile named ${text}`);
    const memoryMiB = Math.round((gib ?? nominalMemoryGb(name)) * 1024);
    return { name, gpuInstanceProfileId, computeSlices: computeSlicesOf(name), size, starts, instancesMax, memoryMiB };
  });
  const grid = gridOf(profiles);
  invariant(grid !== undefined, `the catalog has no profiles for ${entry.key}`);
  return { key: entry.key, productNames: entry.productNames, modeChangeNeedsReset: entry.modeChangeNeedsReset, grid };
});

const byKey: ReadonlyMap<string, CatalogModel> = new Map(catalogModels.map((model) => [model.key, model]));
const byName: ReadonlyMap<string, CatalogModel> = new Map(
  catalogModels.flatMap((model) => model.productNames.map((name) => [name, model] as const)),
);

/** By short key: `h100-80gb`. */
export function findCatalogModel(key: string): CatalogModel | undefined {
  return byKey.get(key);
}

/** By product name as the driver prints it: `NVIDIA H100 80GB HBM3`. */
export function findCatalogModelByName(productName: string): CatalogModel | undefined {
  return byName.get(productName);
}

/** What a listing says otherwise than the catalog. Memory is not compared: it differs by driver. */
export interface CatalogDifference {
  readonly profile: string;
  readonly what: 'not-in-catalog' | 'id' | 'placements' | 'instances-max';
}

/** Empty for a listing as expected; an older driver that lists fewer profiles is. */
export function differencesFromCatalog(model: CatalogModel, listed: readonly Profile[]): readonly CatalogDifference[] {
  const found: CatalogDifference[] = [];
  for (const own of listed) {
    const known = model.grid.profiles.find((profile) => profile.name === own.name);
    if (known === undefined) {
      found.push({ profile: own.name, what: 'not-in-catalog' });
      continue;
    }
    if (known.gpuInstanceProfileId !== own.gpuInstanceProfileId) found.push({ profile: own.name, what: 'id' });
    if (known.size !== own.size || known.starts.join() !== own.starts.join()) found.push({ profile: own.name, what: 'placements' });
    if (known.instancesMax !== own.instancesMax) found.push({ profile: own.name, what: 'instances-max' });
  }
  return found;
}
