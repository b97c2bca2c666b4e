// What real machines printed, read by the agent's parsers, against what the domain believes of their models.

import { freeStarts } from '@astrago/shared/domain/mig/arrange';
import {
  type CatalogModel,
  catalogModels,
  differencesFromCatalog,
  findCatalogModel,
  findCatalogModelByName,
} from '@astrago/shared/domain/mig/catalog';
import { gridOf } from '@astrago/shared/domain/mig/grid';
import { violationsOf } from '@astrago/shared/domain/mig/layout';
import { type LiveSlice, spanOf } from '@astrago/shared/domain/mig/slice';
import { describe, expect, it } from 'vitest';
import { parseComputeInstances } from '../../agent/src/smi/parse-compute-instances.ts';
import { parseGpuInstanceProfiles } from '../../agent/src/smi/parse-gpu-instance-profiles.ts';
import { parseGpuInstances } from '../../agent/src/smi/parse-gpu-instances.ts';
import { parseGpuList } from '../../agent/src/smi/parse-gpu-list.ts';
import { type PossiblePlacements, parsePossiblePlacements } from '../../agent/src/smi/parse-possible-placements.ts';
import type { Parsed } from '../../agent/src/smi/parsed.ts';
import { joinProfiles } from '../../agent/src/smi/profile-listing.ts';
import { joinSlices } from '../../agent/src/smi/slices.ts';
import { fixture, fixturePaths, transcript } from '../../agent/src/smi/testing/fixtures.ts';

function readable<T>(answer: Parsed<T>): T {
  if (answer.kind === 'unreadable') throw new Error(`${answer.reason}: ${answer.line}`);
  return answer.value;
}

function model(key: string): CatalogModel {
  const found = findCatalogModel(key);
  if (found === undefined) throw new Error(key);
  return found;
}

const listings = (path: string, command: RegExp): readonly string[] =>
  transcript(`transcripts/${path}`)
    .filter((own) => command.test(own.command))
    .map((own) => own.text);
const a30 = 'a30-535.183.01-lgipp-lgip-cgi-lgi-L-smi-lcip.txt';
const r450 = 'a100-pcie-40gb-r450-7x1g.txt';
const guide = 'nvidia-mig-user-guide-v580-transcripts.txt';
const pro = 'rtx-pro-6000-server-610.43.02-8gpu.txt';
const harvester = 'a100-and-h100nvl-listings-harvester-style.txt';
const prickle = ['h100-default-20260729', 'h100-mig-20260729', 'h100-mig-mixed-20260729'];

const profileListings: readonly (readonly [string, string, string])[] = [
  ['A30', 'a30-24gb', listings(a30, /-lgip$/)[0] ?? ''],
  ['A100 PCIe, R450', 'a100-40gb', listings(r450, /-lgip$/)[0] ?? ''],
  ['A100 PCIe', 'a100-40gb', listings(harvester, /-lgip$/)[0] ?? ''],
  ['H100 NVL', 'h100-nvl-94gb', listings(harvester, /-lgip$/)[1] ?? ''],
  ['GH200', 'gh200-96gb', listings('gh200-96gb-mig-enable-lgip-cgi-errors.txt', /-lgip$/)[0] ?? ''],
  ['RTX PRO 6000', 'rtx-pro-6000', listings(pro, /-lgip$/)[0] ?? ''],
  ...prickle.map((directory) => [directory, 'h100-80gb', fixture(`prickle/${directory}/mig-profiles.txt`)] as const),
];

const placementListings: readonly (readonly [string, string, string])[] = [
  ['A30', 'a30-24gb', listings(a30, /-lgipp$/)[0] ?? ''],
  ['A100 PCIe, R450', 'a100-40gb', listings(r450, /-lgipp$/)[0] ?? ''],
  ['A100 SXM4', 'a100-40gb', listings(guide, /-lgipp$/)[0] ?? ''],
  ['RTX PRO 6000', 'rtx-pro-6000', listings(pro, /-lgipp$/)[0] ?? ''],
];

/** Every recorded list of GPU instances, with the model it is of. */
const instanceListings: readonly (readonly [string, string, string])[] = [
  ...listings(a30, /-lgi$/).map((text, at) => [`A30 ${at}`, 'a30-24gb', text] as const),
  ...listings(guide, /-lgi$/).map((text, at) => [`A100 SXM4 ${at}`, 'a100-40gb', text] as const),
  ...listings(pro, /-lgi$/).map((text, at) => [`RTX PRO 6000 ${at}`, 'rtx-pro-6000', text] as const),
  ...listings(harvester, /-lgi$/).map((text, at) => [`H100 NVL ${at}`, 'h100-nvl-94gb', text] as const),
  ...prickle.map((directory) => [directory, 'h100-80gb', fixture(`prickle/${directory}/mig-gi.txt`)] as const),
];

/** As the catalog has them, in the shape of `-lgipp`, for machines of which only `-lgip` was recorded. */
function placementsOf(own: CatalogModel): readonly PossiblePlacements[] {
  return own.grid.profiles.map((profile) => ({
    gpuIndex: 0,
    profileId: profile.gpuInstanceProfileId,
    starts: profile.starts,
    size: profile.size,
  }));
}

function slicesOf(text: string): readonly LiveSlice[] {
  return readable(joinSlices(readable(parseGpuInstances(text)), [], []));
}

describe('recorded profile listings', () => {
  it.each(profileListings)('of %s are as the catalog says', (_machine, key, text) => {
    const own = model(key);
    const rows = readable(parseGpuInstanceProfiles(text));
    const profiles = joinProfiles(rows, placementsOf(own));

    expect(profiles).toHaveLength(rows.length);
    expect(differencesFromCatalog(own, profiles)).toEqual([]);
    for (const profile of profiles) {
      const known = own.grid.profiles.find((other) => other.name === profile.name)?.memoryMiB ?? NaN;
      // The driver rounds, and not always alike.
      expect(Math.abs(profile.memoryMiB - known) / known).toBeLessThan(0.02);
    }
    expect(gridOf(profiles)).toMatchObject({ computeSlices: own.grid.computeSlices, placementUnits: own.grid.placementUnits });
  });

  it.each(placementListings)('of possible placements on %s are as the catalog says', (_machine, key, text) => {
    const own = model(key);
    for (const listed of readable(parsePossiblePlacements(text))) {
      const known = own.grid.profiles.find((profile) => profile.gpuInstanceProfileId === listed.profileId);
      expect(listed).toMatchObject({ starts: known?.starts, size: known?.size });
    }
  });

  it('count as free what would still be legal', () => {
    const states: readonly (readonly [string, string, string])[] = [
      ...prickle.map(
        (directory) => ['h100-80gb', fixture(`prickle/${directory}/mig-gi.txt`), fixture(`prickle/${directory}/mig-profiles.txt`)] as const,
      ),
      ['h100-nvl-94gb', listings(harvester, /-lgi$/)[0] ?? '', listings(harvester, /-lgip$/)[1] ?? ''],
      ...profileListings
        .filter(([machine]) => /^(?:A30|A100|GH200|RTX)/.test(machine))
        .map(([, key, text]) => [key, 'No GPU instances found: Not Found', text] as const),
    ];
    for (const [key, instances, listing] of states) {
      const own = model(key);
      const slices = slicesOf(instances);
      for (const row of readable(parseGpuInstanceProfiles(listing))) {
        const profile = own.grid.profiles.find((other) => other.name === row.profileName);
        if (profile === undefined) throw new Error(row.profileName);
        const held = slices.filter((slice) => slice.profile === profile.name).length;
        expect(Math.min(freeStarts(own.grid, slices, profile).length, profile.instancesMax - held), `${key} ${row.profileName}`).toBe(
          row.free,
        );
      }
    }
  });
});

describe('recorded instances', () => {
  it.each(instanceListings)('of %s are a legal layout of their model', (_machine, key, text) => {
    const { grid } = model(key);
    const slices = slicesOf(text);

    expect(violationsOf(grid, slices)).toEqual([]);
    for (const slice of slices) expect(spanOf(grid, slice)).toEqual({ start: slice.start, size: slice.size });
  });

  it('join with the UUIDs listed beside them', () => {
    const gpu = readable(parseGpuList(fixture('prickle/h100-mig-mixed-20260729/gpus.txt')))[0];
    const slices = readable(
      joinSlices(
        readable(parseGpuInstances(fixture('prickle/h100-mig-mixed-20260729/mig-gi.txt'))),
        readable(parseComputeInstances(fixture('prickle/h100-mig-mixed-20260729/mig-ci.txt'))),
        gpu?.devices ?? [],
      ),
    );
    const proGpu = readable(parseGpuList(listings(pro, /^-L$/)[1] ?? ''))[0];
    const proSlices = readable(
      joinSlices(
        readable(parseGpuInstances(listings(pro, /-lgi$/)[1] ?? '')),
        readable(parseComputeInstances(listings(pro, /-lci$/)[0] ?? '')),
        proGpu?.devices ?? [],
      ),
    );

    expect(slices.map((slice) => slice.migUuid)).toEqual(gpu?.devices.map((device) => device.uuid));
    expect(proSlices.map((slice) => slice.migUuid)).toEqual(proGpu?.devices.map((device) => device.uuid));
  });
});

describe('recorded product names', () => {
  it('of devices that can be cut are in the catalog', () => {
    const names = new Set<string>();
    for (const path of fixturePaths('transcripts'))
      for (const own of transcript(path)) if (own.command === '-L') for (const gpu of readable(parseGpuList(own.text))) names.add(gpu.name);
    names.add(readable(parseGpuList(fixture('prickle/h100-default-20260729/gpus.txt')))[0]?.name ?? '');

    expect(names.size).toBeGreaterThan(3);
    expect([...names].filter((name) => findCatalogModelByName(name) === undefined)).toEqual([]);
  });

  it('belong to one model each', () => {
    const all = catalogModels.flatMap((own) => own.productNames);
    expect(new Set(all).size).toBe(all.length);
  });
});
