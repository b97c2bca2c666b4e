import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arrange, freeStarts } from '../arrange.ts';
import { type CatalogModel, catalogModels, findCatalogModel } from '../catalog.ts';
import { formatLayout, inOrder, isLegal, type Layout } from '../layout.ts';
import { type LayoutRequest, parseLayoutRequest } from '../request.ts';
import type { WantedSlice } from '../slice.ts';
import { type PartedFile, pointerOf } from './config.ts';
import { deviceIdsOf } from './device-ids.ts';
import { type ExportedGpu, exportParted, type PartedFormat } from './export.ts';
import { formatPartedProfile, parsePartedProfile } from './profile.ts';
import { readParted } from './read.ts';
import { type SelectedParted, selectParted } from './select.ts';

const entry = { devices: 'all', 'mig-enabled': true, 'mig-devices': { '1g.10gb': 7 } };
const fileOf = (...entries: readonly object[]): object => ({ version: 'v1', 'mig-configs': { own: entries } });

function faultsOf(value: unknown): readonly string[] {
  const read = readParted(value);
  return read.kind === 'faults' ? read.faults.map(({ path, detail }) => `${pointerOf(path)}: ${detail}`) : [];
}

function read(value: unknown): PartedFile {
  const answer = readParted(value);
  if (answer.kind === 'faults') throw new Error(faultsOf(value).join('\n'));
  return answer.file;
}

const h100 = { model: 'NVIDIA H100 80GB HBM3', migCapable: true };
const a100 = { model: 'NVIDIA A100-SXM4-40GB', migCapable: true };

function requests(selected: SelectedParted): Readonly<Record<number, string>> | string {
  if (selected.kind === 'no-such-config') return `only ${selected.names.join(' ')}`;
  if (selected.kind === 'faults') return selected.faults.map(({ path, detail }) => `${pointerOf(path)}: ${detail}`).join('\n');
  return Object.fromEntries([...selected.requests].map(([index, request]) => [index, textOf(request)]));
}

function textOf(request: LayoutRequest): string {
  if (request.kind === 'whole') return 'whole';
  return [...inOrder(request.fixed).map((slice) => `${slice.profile}@${slice.start}`), ...request.anywhere].join(' ') || 'mig';
}

describe('reading a mig-parted file', () => {
  it.each([
    ['one entry', fileOf(entry)],
    ['MIG mode without slices', fileOf({ devices: 'all', 'mig-enabled': true, 'mig-devices': {} })],
    ['no MIG, with an empty list', fileOf({ devices: 'all', 'mig-enabled': false, 'mig-devices': {} })],
    ['indices and one filter', fileOf({ ...entry, devices: [0, 3], 'device-filter': '0x233010DE' })],
    ['a filter of names, which is well written', fileOf({ ...entry, 'device-filter': ['MODEL1', 'MODEL2'] })],
    ['an empty filter', fileOf({ ...entry, 'device-filter': '' })],
    ['no device', fileOf({ ...entry, devices: [] })],
    ['a profile that no device has', fileOf({ ...entry, 'mig-devices': { '0g.0gb': 100 } })],
    ['a count of none beside another', fileOf({ ...entry, 'mig-devices': { '1g.10gb': 0, '2g.20gb': 1 } })],
    ['nothing but its version', { version: 'v1' }],
    ['placements alone', fileOf({ devices: 'all', 'mig-enabled': true, 'mig-placements': [{ profile: '3g.40gb', start: 4 }] })],
    ['placements that agree', fileOf({ ...entry, 'mig-devices': { '3g.40gb': 1 }, 'mig-placements': [{ profile: '3g.40gb', start: 4 }] })],
  ])('takes %s', (_what, value) => {
    expect(faultsOf(value)).toEqual([]);
  });

  it.each<[string, unknown, string]>([
    ['nothing', null, ": this is no mig-parted configuration: 'version: v1' and 'mig-configs' are expected"],
    ['no version', { 'mig-configs': { own: [entry] } }, ": 'version' is missing"],
    ['another version', { ...fileOf(entry), version: 'v1.1' }, '/version: version "v1.1" is not known'],
    ['a version that is a number', { ...fileOf(entry), version: 1 }, '/version: version 1 is not known'],
    ['no configurations', { version: 'v1', 'mig-configs': {} }, '/mig-configs: at least one configuration is needed'],
    ['a configuration without entries', fileOf(), '/mig-configs/own: at least one entry is needed'],
    ['a configuration that is no list', { version: 'v1', 'mig-configs': { 'a/b': entry } }, '/mig-configs/a~1b: must be a list'],
    ['a field of its own', { ...fileOf(entry), extra: 1 }, '/extra: unexpected field'],
    ['a field of its own in an entry', fileOf({ ...entry, bogus: 1 }), '/mig-configs/own/0/bogus: unexpected field'],
    ['another case', fileOf({ ...entry, Devices: 'all' }), '/mig-configs/own/0/Devices: unexpected field'],
    ['no devices', fileOf({ 'mig-enabled': false }), "/mig-configs/own/0: 'devices' is missing"],
    ['no mode', fileOf({ devices: 'all' }), "/mig-configs/own/0: 'mig-enabled' is missing"],
    ['devices of another kind', fileOf({ ...entry, devices: 'none' }), '/mig-configs/own/0/devices: must be all or a list of GPU indices'],
    ['a device by name', fileOf({ ...entry, devices: [0, '1'] }), '/mig-configs/own/0/devices/1: "1" is not the index of a GPU'],
    ['a negative index', fileOf({ ...entry, devices: [-1] }), '/mig-configs/own/0/devices/0: -1 is not the index of a GPU'],
    [
      'a filter that is a number',
      fileOf({ ...entry, 'device-filter': 0x233010de }),
      '/mig-configs/own/0/device-filter: 590352606 must be text',
    ],
    ['a mode in words', fileOf({ ...entry, 'mig-enabled': 'yes' }), '/mig-configs/own/0/mig-enabled: must be true or false, not "yes"'],
    ['MIG mode without a word on slices', fileOf({ devices: 'all', 'mig-enabled': true }), "/mig-configs/own/0: 'mig-devices' is missing"],
    ['slices of null', fileOf({ ...entry, 'mig-devices': null }), '/mig-configs/own/0/mig-devices: must hold a count by profile'],
    ['slices without MIG mode', fileOf({ ...entry, 'mig-enabled': false }), '/mig-configs/own/0/mig-devices: must be empty'],
    [
      'a profile that is none',
      fileOf({ ...entry, 'mig-devices': { bogus: 2 } }),
      '/mig-configs/own/0/mig-devices/bogus: "bogus" is not a MIG profile',
    ],
    [
      'a count below none',
      fileOf({ ...entry, 'mig-devices': { '1g.10gb': -1 } }),
      '/mig-configs/own/0/mig-devices/1g.10gb: the count must be a whole number',
    ],
    ['a count in words', fileOf({ ...entry, 'mig-devices': { '1g.10gb': '7' } }), 'not "7"'],
    ['half a slice', fileOf({ ...entry, 'mig-devices': { '1g.10gb': 0.5 } }), 'not 0.5'],
    ['counts of none only', fileOf({ ...entry, 'mig-devices': { '1g.10gb': 0 } }), 'all counts are 0'],
    ['one profile in two spellings', fileOf({ ...entry, 'mig-devices': { '3g.20gb': 1, '3c.3g.20gb': 1 } }), '3g.20gb is counted twice'],
    [
      'placements that disagree',
      fileOf({ ...entry, 'mig-placements': [{ profile: '1g.10gb', start: 0 }] }),
      "1 of 1g.10gb are placed, and 'mig-devices' has 7",
    ],
    [
      'a placement without its start',
      fileOf({ devices: 'all', 'mig-enabled': true, 'mig-placements': [{ profile: '1g.10gb' }] }),
      '/mig-configs/own/0/mig-placements/0/start: the start must be',
    ],
    [
      'a placement with its size',
      fileOf({ devices: 'all', 'mig-enabled': true, 'mig-placements': [{ profile: '1g.10gb', start: 0, size: 1 }] }),
      '/mig-placements/0/size: unexpected field',
    ],
    [
      'placements without MIG mode',
      fileOf({ devices: 'all', 'mig-enabled': false, 'mig-placements': [{ profile: '1g.10gb', start: 0 }] }),
      '/mig-placements: must be empty',
    ],
  ])('refuses %s and says where', (_what, value, says) => {
    expect(faultsOf(value)).toContainEqual(expect.stringContaining(says));
  });

  it('tells everything that is wrong, not the first thing', () => {
    expect(faultsOf({ version: 'v2', 'mig-configs': { a: [], b: [{ devices: 'x', 'mig-enabled': 1 }] } })).toHaveLength(4);
  });

  it('never throws, whatever it is given', () => {
    const nearly = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        fc.constantFrom(null, true, false, 'all', 'v1', '1g.10gb', 0, 1, -1, 0.5),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(
          fc.constantFrom(
            'version',
            'mig-configs',
            'devices',
            'device-filter',
            'mig-enabled',
            'mig-devices',
            'mig-placements',
            '1g.10gb',
            '__proto__',
            'toString',
          ),
          tie('value'),
          { maxKeys: 6 },
        ),
      ),
    })).value;
    fc.assert(
      fc.property(nearly, (value) => {
        const answer = readParted(value);
        if (answer.kind === 'faults') for (const fault of answer.faults) expect(fault.detail).toMatch(/^\S.*\S$/);
        else for (const name of answer.file.configs.keys()) requests(selectParted(answer.file, name, [{ index: 0, ...h100 }]));
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('a profile of a mig-parted file', () => {
  it.each(['1g.5gb', '1g.10gb+me', '1g.24gb+gfx', '1g.24gb+me.all', '1g.24gb-me', '1c.3g.20gb', '2c.4g.40gb', '1c.7g.80gb'])(
    'is read and written: %s',
    (text) => {
      const profile = parsePartedProfile(text);
      expect(profile && formatPartedProfile(profile)).toBe(text);
    },
  );
  it('is the slice itself where its compute instance is all of it', () => {
    expect(parsePartedProfile('3c.3g.20gb')).toEqual({ kind: 'slice', name: '3g.20gb' });
  });
  it.each(['', 'g.gb', '1g', '1g.5gb+xx', '1g.5gb.me', 'MIG 1g.5gb', '4c.3g.20gb', '0c.3g.20gb', '1c.1c.3g.20gb', '1g.5gb+me,gfx'])(
    'is not %j',
    (text) => {
      expect(parsePartedProfile(text)).toBeUndefined();
    },
  );
});

describe('a chosen configuration', () => {
  // In the manner of the operator's default: one name, an entry for each product.
  const balanced = read({
    version: 'v1',
    'mig-configs': {
      'all-disabled': [{ devices: 'all', 'mig-enabled': false }],
      'all-enabled': [{ devices: 'all', 'mig-enabled': true, 'mig-devices': {} }],
      'all-balanced': [
        {
          'device-filter': ['0x20B010DE', '0x20B110DE', '0x20F110DE'],
          devices: 'all',
          'mig-enabled': true,
          'mig-devices': { '1g.5gb': 2, '2g.10gb': 1, '3g.20gb': 1 },
        },
        { 'device-filter': '0x20b710de', devices: 'all', 'mig-enabled': true, 'mig-devices': { '1g.6gb': 2, '2g.12gb': 1 } },
        {
          'device-filter': ['0x233010DE', '0x233110DE'],
          devices: 'all',
          'mig-enabled': true,
          'mig-devices': { '1g.10gb': 2, '2g.20gb': 1, '3g.40gb': 1 },
        },
        {
          'device-filter': ['0x2BB510DE'],
          devices: 'all',
          'mig-enabled': true,
          'mig-devices': { '1g.24gb-me': 1, '1g.24gb+gfx': 1, '2g.48gb': 1 },
        },
        {
          'device-filter': ['0x290110DE'],
          devices: 'all',
          'mig-enabled': true,
          'mig-devices': { '1g.23gb+me': 1, '1g.23gb': 1, '2g.45gb': 1, '3g.90gb': 1 },
        },
      ],
      parts: [{ devices: 'all', 'mig-enabled': true, 'mig-devices': { '1c.3g.20gb': 2 } }],
      overlapping: [
        { devices: [0, 1], 'mig-enabled': false },
        { devices: [1, 2], 'mig-enabled': true, 'mig-devices': {} },
      ],
      'one-twice': [
        { devices: [0], 'mig-enabled': false },
        { devices: 'all', 'mig-enabled': false },
      ],
      named: [{ 'device-filter': 'A100-SXM4-40GB', devices: 'all', 'mig-enabled': false }],
      many: [{ devices: 'all', 'mig-enabled': true, 'mig-devices': { '1g.5gb': 1_000_000_000 } }],
      here: [
        {
          devices: [1, 9, 3],
          'mig-enabled': true,
          'mig-placements': [
            { profile: '3g.40gb', start: 4 },
            { profile: '1g.10gb', start: 0 },
          ],
        },
      ],
    },
  });

  it('asks of each GPU what the entry for its product says', () => {
    const gpus = [
      { index: 0, ...a100 },
      { index: 1, model: 'NVIDIA A30', migCapable: true },
      { index: 2, ...h100 },
      { index: 3, model: 'NVIDIA RTX PRO 6000 Blackwell Server Edition', migCapable: true },
      { index: 4, model: 'NVIDIA B200', migCapable: true },
      { index: 5, model: 'Tesla T4', migCapable: false },
      { index: 6, model: 'NVIDIA H200', migCapable: true },
    ];
    expect(requests(selectParted(balanced, 'all-balanced', gpus))).toEqual({
      0: '1g.5gb 1g.5gb 2g.10gb 3g.20gb',
      1: '1g.6gb 1g.6gb 2g.12gb',
      2: '1g.10gb 1g.10gb 2g.20gb 3g.40gb',
      3: '1g.24gb-me 1g.24gb+gfx 2g.48gb',
      4: '1g.23gb+me 1g.23gb 2g.45gb 3g.90gb',
    });
    expect(requests(selectParted(balanced, 'all-disabled', gpus))).toEqual({
      0: 'whole',
      1: 'whole',
      2: 'whole',
      3: 'whole',
      4: 'whole',
      6: 'whole',
    });
    expect(requests(selectParted(balanced, 'all-enabled', gpus.slice(0, 1)))).toEqual({ 0: 'mig' });
  });

  it('is one that fits: every wish of the example has a place on its device', () => {
    for (const [key, name] of [
      ['a100-40gb', 'NVIDIA A100-SXM4-40GB'],
      ['a30-24gb', 'NVIDIA A30'],
      ['h100-80gb', 'NVIDIA H100 80GB HBM3'],
      ['rtx-pro-6000', 'NVIDIA RTX PRO 6000 Blackwell Server Edition'],
      ['b200', 'NVIDIA B200'],
    ] as const) {
      const selected = selectParted(balanced, 'all-balanced', [{ index: 0, model: name, migCapable: true }]);
      const request = selected.kind === 'selected' ? selected.requests.get(0) : undefined;
      if (request?.kind !== 'mig') throw new Error(name);
      const model = findCatalogModel(key);
      expect(model && arrange(model.grid, [], request.anywhere), name).toHaveLength(request.anywhere.length);
    }
  });

  it.each([
    [
      'parts',
      '/mig-configs/parts/0/mig-devices/1c.3g.20gb: a slice is made with one compute instance of all its 3 compute slices; write 3g.20gb',
    ],
    ['overlapping', '/mig-configs/overlapping/1: asks mig of GPU 1, of which an entry above asks whole'],
    ['named', '/mig-configs/named/0/device-filter: "A100-SXM4-40GB" is not a PCI device id such as "0x233010DE" and matches nothing'],
    ['many', '/mig-configs/many/0/mig-devices/1g.5gb: 1000000000 are more than any GPU holds'],
    ['missing', 'only all-disabled all-enabled all-balanced parts overlapping one-twice named many here'],
  ])('is refused with a reason: %s', (name, says) => {
    expect(
      requests(
        selectParted(balanced, name, [
          { index: 0, ...a100 },
          { index: 1, ...a100 },
        ]),
      ),
    ).toBe(says);
  });

  it('may say the same of a GPU twice', () => {
    expect(requests(selectParted(balanced, 'one-twice', [{ index: 0, ...a100 }]))).toEqual({ 0: 'whole' });
  });

  it('does not guess what a product is, nor cut what has no MIG', () => {
    expect(requests(selectParted(balanced, 'all-balanced', [{ index: 0, model: 'NVIDIA X900', migCapable: true }]))).toContain(
      'the PCI device id of GPU 0 (NVIDIA X900) is not known here',
    );
    expect(requests(selectParted(balanced, 'all-enabled', [{ index: 0, model: 'Tesla T4', migCapable: false }]))).toBe(
      '/mig-configs/all-enabled/0/mig-enabled: GPU 0 (Tesla T4) has no MIG',
    );
  });

  it('names placements, and indices that are not there', () => {
    const selected = selectParted(balanced, 'here', [
      { index: 0, ...h100 },
      { index: 1, ...h100 },
    ]);
    expect(requests(selected)).toEqual({ 1: '1g.10gb@0 3g.40gb@4' });
    expect(selected).toMatchObject({ absent: [3, 9] });
  });
});

describe('device ids', () => {
  const file = join(import.meta.dirname, '../../../../test/fixtures/nvidia/mig-profiles.json');
  const { models } = JSON.parse(readFileSync(file, 'utf8')) as {
    readonly models: readonly { readonly productNames: readonly string[]; readonly pciDeviceIds?: readonly string[] }[];
  };
  it.each(models.flatMap((model) => model.productNames.map((name) => [name, model.pciDeviceIds ?? []] as const)))(
    'of %s are among those recorded',
    (name, recorded) => {
      const known = recorded.map((text) => text.slice(0, 10));
      // The two workstation boards are told apart by pci.ids only.
      const own = (deviceIdsOf(name) ?? []).filter((id) => !['0x2BB410DE', '0x2BB110DE'].includes(id));
      expect(known).toEqual(expect.arrayContaining(own));
    },
  );
  it('are known of every product of the catalog', () => {
    for (const model of catalogModels) for (const name of model.productNames) expect(deviceIdsOf(name), name).toBeDefined();
  });
});

describe('exporting and importing again', () => {
  const layoutOn = (model: CatalogModel): fc.Arbitrary<Layout> =>
    fc.oneof(
      fc.constant<Layout>({ kind: 'whole' }),
      fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 9 }).map((picks): Layout => {
        let slices: readonly WantedSlice[] = [];
        for (const [which, where] of picks) {
          const profile = model.grid.profiles[which % model.grid.profiles.length];
          if (profile === undefined) continue;
          const free = freeStarts(model.grid, slices, profile);
          const start = free[where % Math.max(free.length, 1)];
          if (start !== undefined) slices = [...slices, { profile: profile.name, start }];
        }
        return { kind: 'mig', slices };
      }),
    );
  const node = fc
    .array(fc.constantFrom(...catalogModels.filter((model) => model.productNames.length > 0)), { minLength: 1, maxLength: 8 })
    .chain((models) => fc.tuple(fc.constant(models), fc.tuple(...models.map(layoutOn))));

  function trip(models: readonly CatalogModel[], layouts: readonly Layout[], format: PartedFormat): ReadonlyMap<number, LayoutRequest> {
    const gpus = layouts.map((layout, index): ExportedGpu => ({ index, layout }));
    // Through text, as a file would be.
    const file = read(JSON.parse(JSON.stringify(exportParted(new Map([['current', gpus.toReversed()]]), format))));
    const selected = selectParted(
      file,
      'current',
      models.map((model, index) => ({ index, model: model.productNames[0] ?? '', migCapable: true })),
    );
    if (selected.kind !== 'selected') throw new Error(String(requests(selected)));
    expect(selected.absent).toEqual([]);
    return selected.requests;
  }

  it('gives the same layouts with placements', () => {
    fc.assert(
      fc.property(node, ([models, layouts]) => {
        const asked = trip(models, layouts, 'astrago');
        expect(layouts.map((layout, index) => [index, formatLayout(layout)])).toEqual(
          layouts.map((_layout, index) => {
            const request = asked.get(index);
            return [index, request?.kind === 'mig' ? formatLayout({ kind: 'mig', slices: request.fixed }) : request?.kind];
          }),
        );
      }),
      { numRuns: 300 },
    );
  });

  it('gives the same counts without, for which every device has places', () => {
    fc.assert(
      fc.property(node, ([models, layouts]) => {
        const asked = trip(models, layouts, 'mig-parted');
        for (const [index, layout] of layouts.entries()) {
          const request = asked.get(index);
          if (layout.kind === 'whole' || request?.kind !== 'mig') {
            expect(request?.kind).toBe(layout.kind);
            continue;
          }
          expect(request.fixed).toEqual([]);
          expect(request.anywhere.toSorted()).toEqual(layout.slices.map((slice) => slice.profile).sort());
          const grid = models[index]?.grid;
          const placed = grid && arrange(grid, [], request.anywhere);
          expect(grid && placed && isLegal(grid, placed)).toBe(true);
        }
      }),
      { numRuns: 150 },
    );
  });

  it('writes what mig-parted reads: no field of ours, equal GPUs in one entry', () => {
    const cut: Layout = { kind: 'mig', slices: requestSlices('1g.10gb@6,3g.40gb@0') };
    const moved: Layout = { kind: 'mig', slices: requestSlices('1g.10gb@0,3g.40gb@4') };
    const gpus = [cut, { kind: 'whole' } as const, moved].map((layout, index): ExportedGpu => ({ index, layout }));
    expect(exportParted(new Map([['current', gpus]]), 'mig-parted')).toEqual({
      version: 'v1',
      'mig-configs': {
        current: [
          { devices: [0, 2], 'mig-enabled': true, 'mig-devices': { '1g.10gb': 1, '3g.40gb': 1 } },
          { devices: [1], 'mig-enabled': false },
        ],
      },
    });
    expect(exportParted(new Map([['current', gpus]]), 'astrago')['mig-configs']['current']).toHaveLength(3);
    expect(exportParted(new Map([['current', gpus.slice(0, 1)]]), 'mig-parted')['mig-configs']['current']?.[0]?.devices).toBe('all');
  });

  function requestSlices(text: string): readonly WantedSlice[] {
    const parsed = parseLayoutRequest(text);
    if (parsed.kind === 'unreadable' || parsed.request.kind === 'whole') throw new Error(text);
    return parsed.request.fixed;
  }
});
