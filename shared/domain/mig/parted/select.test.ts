import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { arrange } from '../arrange.ts';
import { catalogModels, findCatalogModel } from '../catalog.ts';
import { inOrder } from '../layout.ts';
import type { LayoutRequest } from '../request.ts';
import { type PartedFile, pointerOf } from './config.ts';
import { deviceIdsOf } from './device-ids.ts';
import { readParted } from './read.ts';
import { type SelectedParted, selectParted } from './select.ts';

function read(value: unknown): PartedFile {
  const answer = readParted(value);
  if (answer.kind === 'faults') throw new Error(JSON.stringify(answer.faults));
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
