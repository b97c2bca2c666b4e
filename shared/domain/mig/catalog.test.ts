import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { arrange } from './arrange.ts';
import { catalogModels, differencesFromCatalog, findCatalogModel, findCatalogModelByName } from './catalog.ts';
import type { MigGrid } from './grid.ts';
import { isLegal } from './layout.ts';
import { parsePartedProfile } from './parted/profile.ts';
import { computeSlicesOf, type ProfileName, parseProfileName } from './profile.ts';
import type { WantedSlice } from './slice.ts';

interface RecordedModel {
  readonly key: string;
  readonly productNames: readonly string[];
  readonly computeSlices: number;
  readonly placementUnits: number | null;
  readonly migModeChange?: { readonly needsGpuReset: boolean };
  readonly giProfiles: readonly {
    readonly shortName: string;
    readonly giProfileId: number | null;
    readonly instancesTotal: number;
    readonly memoryGiB: number | null;
    readonly computeSlices: number;
    readonly computeInstanceProfiles?: readonly { readonly name: string }[];
    readonly placements: { readonly start: readonly number[]; readonly size: number } | null;
  }[];
  readonly maximalCombinations?: {
    readonly distinctPlacementLayouts: number;
    readonly multisets: readonly Readonly<Record<string, number>>[];
  };
}

const file = join(import.meta.dirname, '../../../test/fixtures/nvidia/mig-profiles.json');
const recorded = (JSON.parse(readFileSync(file, 'utf8')) as { readonly models: readonly RecordedModel[] }).models;
/** Without placements there is no grid. */
const withPlacements = recorded.filter(
  (model) => model.placementUnits !== null && model.giProfiles.every((profile) => profile.placements !== null),
);
/** Keys of ours that are not the recorded ones. */
const keys: Readonly<Record<string, string>> = {
  'h100-80gb-sxm': 'h100-80gb',
  'h100-80gb-pcie': 'h100-pcie-80gb',
  'h100-94gb-nvl': 'h100-nvl-94gb',
  'h100-96gb-gh200': 'gh200-96gb',
  'b200-180gb': 'b200',
  'gb200-186gb': 'gb200',
  'gb300-278gb': 'gb300',
  'b300-269gb': 'b300',
  'rtx-pro-6000-blackwell': 'rtx-pro-6000',
};

function modelOf(own: RecordedModel): NonNullable<ReturnType<typeof findCatalogModel>> {
  const model = findCatalogModel(keys[own.key] ?? own.key);
  if (model === undefined) throw new Error(`${own.key} is not in the catalog`);
  return model;
}

/** Every legal layout to which no further slice can be added, by exhaustion. */
function maximalLayouts(grid: MigGrid): readonly (readonly WantedSlice[])[] {
  const places = grid.profiles.flatMap((profile) => profile.starts.map((start): WantedSlice => ({ profile: profile.name, start })));
  const maximal: (readonly WantedSlice[])[] = [];
  const grow = (layout: readonly WantedSlice[], from: number): void => {
    if (!places.some((place) => isLegal(grid, [...layout, place]))) maximal.push(layout);
    for (const [at, place] of places.entries()) {
      if (at >= from && isLegal(grid, [...layout, place])) grow([...layout, place], at + 1);
    }
  };
  grow([], 0);
  return maximal;
}

function multiset(layout: readonly WantedSlice[]): string {
  const counts = Object.groupBy(layout, (slice) => slice.profile);
  return Object.entries(counts)
    .map(([name, slices]) => `${name}*${slices?.length ?? 0}`)
    .sort()
    .join(',');
}

describe('the catalog', () => {
  it('holds every recorded model whose placements are known', () => {
    expect(catalogModels.map((model) => model.key).sort()).toEqual(withPlacements.map((own) => modelOf(own).key).sort());
  });

  it.each(withPlacements.map((own) => [own.key, own] as const))('says what was recorded of %s', (_key, own) => {
    const model = modelOf(own);

    expect(model.grid.computeSlices).toBe(own.computeSlices);
    expect(model.grid.placementUnits).toBe(own.placementUnits);
    expect(model.modeChangeNeedsReset).toBe(own.migModeChange?.needsGpuReset);
    expect(model.grid.profiles.map(({ memoryMiB: _memory, ...profile }) => profile)).toEqual(
      own.giProfiles.map((profile) => ({
        name: profile.shortName,
        gpuInstanceProfileId: profile.giProfileId,
        computeSlices: profile.computeSlices,
        size: profile.placements?.size,
        starts: profile.placements?.start,
        instancesMax: profile.instancesTotal,
      })),
    );
    for (const [at, profile] of own.giProfiles.entries()) {
      if (profile.memoryGiB !== null) expect(model.grid.profiles[at]?.memoryMiB).toBe(Math.round(profile.memoryGiB * 1024));
      expect(model.grid.profiles[at]?.memoryMiB).toBeGreaterThan(1_024);
    }
    for (const name of model.productNames) expect(findCatalogModelByName(name)).toBe(model);
  });

  it.each(withPlacements.map((own) => [own.key, own] as const))(
    'allows on %s exactly the maximal layouts that were worked out',
    (_key, own) => {
      const { grid } = modelOf(own);
      const layouts = maximalLayouts({ ...grid, profiles: grid.profiles.filter((profile) => /^\d+g\.\d+gb$/.test(profile.name)) });

      expect(layouts).toHaveLength(own.maximalCombinations?.distinctPlacementLayouts ?? -1);
      expect([...new Set(layouts.map(multiset))].sort()).toEqual(
        own.maximalCombinations?.multisets
          .map((counts) =>
            Object.entries(counts)
              .map(([name, count]) => `${name}*${count}`)
              .sort()
              .join(','),
          )
          .sort(),
      );
    },
  );

  it.each(recorded.map((own) => [own.key, own] as const))(
    'reads every name that was recorded of %s, compute instances included',
    (_key, own) => {
      for (const { shortName, computeSlices, computeInstanceProfiles } of own.giProfiles) {
        const name = parseProfileName(shortName);
        expect(name && computeSlicesOf(name), shortName).toBe(computeSlices);
        for (const part of computeInstanceProfiles ?? [])
          expect(parsePartedProfile(part.name.replace(/^MIG /, '')), part.name).toBeDefined();
      }
    },
  );

  it.each(catalogModels.map((model) => [model.key, model.grid] as const))(
    'places each profile of %s at each of its starts, and nowhere else',
    (_key, grid) => {
      for (const profile of grid.profiles)
        for (let start = 0; start < grid.placementUnits; start += 1)
          expect(isLegal(grid, [{ profile: profile.name, start }]), `${profile.name}@${start}`).toBe(profile.starts.includes(start));
    },
  );

  it('gives the media engines of a board of twelve units once, whatever they are called', () => {
    const grid = findCatalogModel('rtx-pro-6000')?.grid;
    const name = (text: string): ProfileName => parseProfileName(text) ?? expect.fail(text);
    const fits = (...texts: readonly string[]): boolean => grid !== undefined && arrange(grid, [], texts.map(name)) !== undefined;
    expect(fits('1g.24gb+me', '1g.24gb-me', '1g.24gb+gfx', '1g.24gb')).toBe(true);
    expect(fits('2g.48gb+me.all', '2g.48gb-me')).toBe(true);
    expect(fits('2g.48gb+me.all', '1g.24gb+me')).toBe(false);
    expect(fits('1g.24gb+me.all', '1g.24gb+me.all')).toBe(false);
    expect(fits('4g.96gb+gfx')).toBe(true);
    expect(fits('1g.24gb-me', '1g.24gb-me', '1g.24gb-me', '1g.24gb-me', '1g.24gb')).toBe(false);
  });

  it('knows models by the names drivers print, and no other', () => {
    expect(findCatalogModelByName('NVIDIA H100 80GB HBM3')?.key).toBe('h100-80gb');
    expect(findCatalogModelByName('A100-SXM4-40GB')?.key).toBe('a100-40gb');
    expect(findCatalogModelByName('NVIDIA L40S')).toBeUndefined();
    expect(findCatalogModel('__proto__')).toBeUndefined();
  });

  it('tells how a listing differs, and takes a shorter one for an older driver', () => {
    const found = withPlacements.find((own) => own.key === 'a100-40gb');
    if (found === undefined) throw new Error('no such model');
    const model = modelOf(found);
    const [first, second, ...rest] = model.grid.profiles;
    if (first === undefined || second === undefined) throw new Error('no profiles');

    expect(differencesFromCatalog(model, model.grid.profiles)).toEqual([]);
    expect(differencesFromCatalog(model, rest)).toEqual([]);
    expect(
      differencesFromCatalog(model, [
        { ...first, gpuInstanceProfileId: 99 },
        { ...second, starts: [0] },
      ]),
    ).toEqual([
      { profile: first.name, what: 'id' },
      { profile: second.name, what: 'placements' },
    ]);
  });
});
