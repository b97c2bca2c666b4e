import { type GpuUuid, parseAllocationId, parseGpuUuid } from '@astrago/shared/domain/ids';
import { findCatalogModel } from '@astrago/shared/domain/mig/catalog';
import { parseSlice, type WantedSlice } from '@astrago/shared/domain/mig/slice';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { accept, type NodeKnowledge } from '../accept.ts';
import { type AllocatedDevice, type DesiredAllocation, emptyOrder, type Share } from '../order.ts';
import { wouldClash } from './double-booking.ts';

const profiles = findCatalogModel('h100-80gb')?.grid.profiles ?? [];
const boardMiB = 81559;
const uuid = (last: number): GpuUuid => parseGpuUuid(`GPU-00000000-0000-0000-0000-00000000000${last}`) ?? expect.unreachable();
const slice = (text: string): WantedSlice => parseSlice(text) ?? expect.unreachable();
const knowing: NodeKnowledge = {
  profilesOf: () => profiles,
  hasEnded: (id) => id.endsWith('9'),
  memoryMiBOf: () => boardMiB,
  driverVersion: '570.133.20',
};

const mps = (milli: number, memoryMiB?: number): Share => ({ kind: 'mps', milli, memoryMiB });
const turns = (milli: number): Share => ({ kind: 'time-sliced', milli });
const alone: Share = { kind: 'exclusive-process' };

function allocation(index: number, ...devices: readonly AllocatedDevice[]): DesiredAllocation {
  return {
    id: parseAllocationId(`alloc_0000000${index}`) ?? expect.unreachable(),
    workload: 'w',
    workspace: 's',
    devices,
    intent: { kind: 'run', command: ['true'], environment: {}, workingDirectory: undefined },
  };
}

const on = (share?: Share, text?: string, gpu = 1): AllocatedDevice => ({
  gpu: uuid(gpu),
  slice: text === undefined ? undefined : slice(text),
  share,
});

function answer(allocations: readonly DesiredAllocation[], node: NodeKnowledge = knowing): string {
  const given = accept({ epoch: 1, generation: 1, gpus: [], allocations }, emptyOrder, node);
  return given.kind === 'refused' ? given.detail : given.kind;
}

const together = (...devices: readonly AllocatedDevice[]): string => answer(devices.map((device, index) => allocation(index, device)));

describe('one device', () => {
  it.each([
    ['two by MPS', [on(mps(500)), on(mps(500))]],
    ['four by turns', [on(turns(250)), on(turns(250)), on(turns(250)), on(turns(250))]],
    [
      'two by MPS on a slice, and one on a slice beside it',
      [on(mps(300), '3g.40gb@0'), on(mps(700), '3g.40gb@0'), on(undefined, '3g.40gb@4')],
    ],
    ['one alone with an exclusive process', [on(alone)]],
    ['memory up to the last MiB', [on(mps(1, boardMiB - 1)), on(mps(1, 1))]],
    ['as many clients as it takes', Array.from({ length: 48 }, () => on(mps(20))).slice(0, 10)],
  ])('is held by %s', (_, devices) => {
    expect(together(...devices)).toBe('accepted');
  });

  it.each([
    ['in two ways', [on(mps(500)), on(turns(500))], 'in two ways, time-sliced and mps'],
    ['by one alone and one by MPS', [on(), on(mps(500))], 'in two ways, mps and alone'],
    ['by two exclusive processes', [on(alone), on(alone)], 'hold the same place'],
    ['for more than there is of its compute', [on(mps(500)), on(mps(501))], 'hold 1001 thousandths together'],
    ['for more turns than there are', [on(turns(1000)), on(turns(1))], 'hold 1001 thousandths together'],
    ['for more than there is of its memory', [on(mps(500)), on(mps(1, boardMiB))], `there are ${boardMiB}`],
    ['for more than there is of a slice', [on(mps(500, 40_449), '3g.40gb@0')], 'there are'],
    ['for nothing', [on(mps(0))], 'asks for 0 thousandths'],
    ['for a part of a thousandth', [on(turns(0.5))], 'asks for 0.5 thousandths'],
    ['for no memory', [on(mps(5, 0))], 'asks for 0 MiB'],
    ['exclusively, a slice', [on(alone, '3g.40gb@0')], 'that is for whole GPUs'],
    ['by MPS while a slice of it is held', [on(mps(500)), on(undefined, '1g.10gb@0')], 'hold the same place'],
    ['by MPS on slices that overlap', [on(mps(500), '3g.40gb@0'), on(mps(500), '1g.10gb@2')], 'hold the same place'],
  ])('is not held %s', (_, devices, why) => {
    expect(together(...devices)).toContain(why);
  });

  it('takes so many MPS clients as its driver says, and a slice its part of them', () => {
    const many = (count: number, text?: string) =>
      Array.from({ length: count }, (_, index) => ({ id: `a${index}`, devices: [on(mps(1, 1), text)] }));
    const clash = (count: number, driverVersion: string | undefined, text?: string) =>
      wouldClash({ id: 'new', devices: [on(mps(1, 1), text)] }, many(count - 1, text), { ...knowing, driverVersion });

    expect([clash(48, '570.1'), clash(49, '570.1'), clash(60, '590.44.01'), clash(61, '590.44.01'), clash(49, undefined)]).toEqual([
      undefined,
      'a47',
      undefined,
      'a59',
      'a47',
    ]);
    expect([clash(6, '570.1', '1g.10gb@0'), clash(7, '570.1', '1g.10gb@0')]).toEqual([undefined, 'a5']);
  });

  it('held by MPS is the only one of its allocation: a process sees one daemon', () => {
    expect(answer([allocation(0, on(mps(500)), on(undefined, undefined, 2))])).toContain('sees the one device of its daemon');
    expect(answer([allocation(0, on(turns(500)), on(turns(500), undefined, 2))])).toBe('accepted');
  });

  it('is not known to be too small before it has said how large it is', () => {
    expect(answer([allocation(0, on(mps(1, 10 ** 6)))], { profilesOf: () => [], hasEnded: () => false })).toBe('accepted');
  });
});

describe('I1', () => {
  const share = fc.oneof(
    { weight: 2, arbitrary: fc.constant<Share | undefined>(undefined) },
    { weight: 1, arbitrary: fc.constant<Share | undefined>(alone) },
    {
      weight: 6,
      arbitrary: fc
        .record({
          milli: fc.constantFrom(0, 1, 100, 250, 400, 500, 600, 1000, 1001),
          memoryMiB: fc.constantFrom(undefined, undefined, 1000, 20_000, 50_000),
        })
        .map((one): Share | undefined => ({ kind: 'mps', ...one })),
    },
    { weight: 3, arbitrary: fc.constantFrom(1, 250, 500, 1000).map((milli): Share | undefined => turns(milli)) },
  );
  const device = fc.record({
    gpu: fc.constantFrom(uuid(1), uuid(2)),
    slice: fc.constantFrom<WantedSlice | undefined>(
      undefined,
      undefined,
      ...['3g.40gb@0', '3g.40gb@4', '1g.10gb@0', '1g.10gb@4', '2g.20gb@2'].map((text) => slice(text)),
    ),
    share,
  });
  const allocations = fc
    .array(fc.oneof({ weight: 8, arbitrary: device.map((one) => [one]) }, { weight: 1, arbitrary: fc.array(device, { maxLength: 2 }) }), {
      maxLength: 5,
    })
    .map((lists) => lists.map((devices, index) => allocation(index === 4 ? 9 : index, ...devices)));

  /** By counting what each unit of each GPU is promised to; nothing of the code under test. */
  function isSound(all: readonly DesiredAllocation[]): boolean {
    const living = all.filter(({ id }) => !id.endsWith('9'));
    const entries = living.flatMap(({ devices }, owner) => devices.map((one) => ({ ...one, owner })));
    const place = (one: AllocatedDevice): string => (one.slice === undefined ? 'all' : `${one.slice.profile}/${one.slice.start}`);
    const units = (one: AllocatedDevice): readonly number[] => {
      const size = profiles.find(({ name }) => name === one.slice?.profile)?.size ?? 0;
      return one.slice === undefined ? [0, 1, 2, 3, 4, 5, 6, 7] : Array.from({ length: size }, (_, unit) => unit + (one.slice?.start ?? 0));
    };
    for (const one of all) if (one.devices.length > 1 && one.devices.some((each) => each.share?.kind === 'mps')) return false;
    for (const gpu of [uuid(1), uuid(2)]) {
      for (let unit = 0; unit < 8; unit += 1) {
        const here = entries.filter((one) => one.gpu === gpu && units(one).includes(unit));
        if (here.length > 1) {
          if (new Set(here.map(place)).size > 1 || new Set(here.map((one) => one.owner)).size < here.length) return false;
          if (!here.every((one) => one.share?.kind === 'mps') && !here.every((one) => one.share?.kind === 'time-sliced')) return false;
        }
        let milli = 0;
        let memory = 0;
        for (const one of here) {
          if (one.share?.kind === 'exclusive-process' && one.slice !== undefined) return false;
          if (one.share?.kind !== 'mps' && one.share?.kind !== 'time-sliced') continue;
          if (one.share.milli < 1 || one.share.milli > 1000) return false;
          milli += one.share.milli;
          const total = one.slice === undefined ? boardMiB : (profiles.find(({ name }) => name === one.slice?.profile)?.memoryMiB ?? 0);
          if (one.share.kind === 'mps') memory += one.share.memoryMiB ?? Math.floor((total * one.share.milli) / 1000);
          if (milli > 1000 || memory > total) return false;
        }
      }
    }
    return true;
  }

  it('holds for exactly what is accepted', () => {
    let accepted = 0;
    fc.assert(
      fc.property(allocations, (all) => {
        const sound = isSound(all);
        accepted += sound && all.some(({ devices }) => devices.some((one) => one.share?.kind === 'mps')) ? 1 : 0;
        expect([answer(all) === 'accepted', all]).toEqual([sound, all]);
      }),
      { numRuns: 3000 },
    );
    expect(accepted).toBeGreaterThan(100);
  });

  it('is what a start is held to as well: what is there keeps its place', () => {
    fc.assert(
      fc.property(allocations, (all) => {
        const [newcomer, ...others] = all.filter(({ id }) => !id.endsWith('9'));
        if (newcomer === undefined || !isSound([newcomer]) || !isSound(others)) return;
        expect([wouldClash(newcomer, others, knowing) === undefined, all]).toEqual([isSound([newcomer, ...others]), all]);
      }),
      { numRuns: 1000 },
    );
  });
});
