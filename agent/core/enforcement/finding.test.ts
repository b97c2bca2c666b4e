import { type GpuUuid, parseGpuUuid } from '@astrago/shared/domain/ids';
import { parseProfileName } from '@astrago/shared/domain/mig/profile';
import { parseSlice } from '@astrago/shared/domain/mig/slice';
import { describe, expect, it } from 'vitest';
import type { AllocatedDevice, Share } from '../order.ts';
import { findingsOf, type Holder } from './finding.ts';
import { contextMemoryMiB } from './share-memory.ts';
import type { GpuFacts, UsingProcess } from './using-process.ts';

function need<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the test is wrong');
  return value;
}

const uuid = (digit: number): GpuUuid => need(parseGpuUuid(`GPU-00000000-0000-0000-0000-00000000000${digit}`));
const [a, b] = [uuid(1), uuid(2)];
const big = need(parseSlice('3g.40gb@0'));
const small = need(parseSlice('1g.10gb@4'));

const gpus: ReadonlyMap<GpuUuid, GpuFacts> = new Map([
  [a, { uuid: a, memoryMiB: 80_000, slices: [], profiles: [] }],
  [
    b,
    {
      uuid: b,
      memoryMiB: 80_000,
      slices: [
        { ...big, size: 4, gpuInstanceId: 1, computeInstanceId: 0, migUuid: 'MIG-1' },
        { ...small, size: 1, gpuInstanceId: 9, computeInstanceId: 0, migUuid: 'MIG-2' },
      ],
      profiles: [
        {
          name: need(parseProfileName('3g.40gb')),
          gpuInstanceProfileId: 9,
          computeSlices: 3,
          size: 4,
          starts: [0, 4],
          instancesMax: 2,
          memoryMiB: 40_000,
        },
      ],
    },
  ],
]);

function on(gpu: GpuUuid, more: Partial<AllocatedDevice> = {}): AllocatedDevice {
  return { gpu, slice: undefined, ...more };
}

function process(more: Partial<UsingProcess> = {}): UsingProcess {
  return {
    gpuUuid: a,
    gpuInstanceId: undefined,
    pid: 7,
    startTime: '70',
    name: 'python',
    usedMemoryMiB: 100,
    allocation: undefined,
    ...more,
  };
}

function found(processes: readonly UsingProcess[], holders: readonly Holder[] = []): readonly string[] {
  return findingsOf(processes, gpus, holders).map(({ kind, pid }) => `${kind} ${pid}`);
}

const mps: Share = { kind: 'mps', milli: 500, memoryMiB: undefined };
const server = process({ pid: 8, name: '/usr/bin/nvidia-cuda-mps-server', mpsRole: 'server' });

describe('a stranger', () => {
  it('is who no allocation explains, with a text that names it', () => {
    expect(findingsOf([process({ podUid: 'some-pod' })], gpus, [])).toEqual([
      {
        kind: 'foreign-process',
        gpu: a,
        pid: 7,
        startTime: '70',
        name: 'python',
        allocation: undefined,
        mpsClient: false,
        detail: 'process 7 (python) in pod some-pod uses the GPU and belongs to no allocation',
        measured: '100 MiB',
      },
    ]);
    expect(found([process({ usedMemoryMiB: undefined })])).toEqual(['foreign-process 7']);
  });

  it('is not who only draws or watches, unless it says so from inside a container', () => {
    expect(found([process({ type: 'graphics', name: '/usr/lib/xorg/Xorg' }), process({ name: '/usr/bin/nv-hostengine' })])).toEqual([]);
    expect(found([process({ type: 'compute-and-graphics' })])).toEqual([]);
    expect(found([process({ name: 'nvidia-smi', containerId: 'c'.repeat(64) })])).toEqual(['foreign-process 7']);
    expect(found([process({ name: 'my-nvidia-smi' })])).toEqual(['foreign-process 7']);
  });

  it('is not the MPS server of a device that is shared by MPS, and is one of any other', () => {
    const holder = { id: 'x', devices: [on(a, { share: mps })] };
    expect(found([server], [holder])).toEqual([]);
    expect(found([server])).toEqual(['foreign-process 8']);
    expect(found([server], [{ id: 'x', devices: [on(a)] }])).toEqual(['foreign-process 8']);

    const onSlice = { id: 'x', devices: [on(b, { slice: big, share: mps })] };
    expect(found([{ ...server, gpuUuid: b, gpuInstanceId: 1 }], [onSlice])).toEqual([]);
    expect(found([{ ...server, gpuUuid: b, gpuInstanceId: 9 }], [onSlice])).toEqual(['foreign-process 8']);
  });

  it('is one finding a GPU however often it is listed there', () => {
    expect(found([process(), process({ type: 'compute' }), process({ gpuUuid: b })])).toEqual(['foreign-process 7', 'foreign-process 7']);
  });
});

describe('a process of an allocation', () => {
  const of = (devices: readonly AllocatedDevice[] | undefined, more: Partial<UsingProcess> = {}): UsingProcess =>
    process({ allocation: 'x', devices, ...more });

  it('is outside on a GPU or slice that was not given', () => {
    expect(found([of([on(b)])])).toEqual(['outside-allocation 7']);
    expect(found([of([])])).toEqual(['outside-allocation 7']);
    expect(found([of([on(b, { slice: big })], { gpuUuid: b, gpuInstanceId: 9 })])).toEqual(['outside-allocation 7']);
  });

  it('is not outside where it was let in, or where nobody can tell', () => {
    expect(found([of([on(a)])])).toEqual([]);
    expect(found([of([on(b, { slice: big })], { gpuUuid: b, gpuInstanceId: 1 })])).toEqual([]);
    expect(found([of([on(b, { slice: big })], { gpuUuid: b })])).toEqual([]);
    expect(found([of([on(b, { slice: need(parseSlice('2g.20gb@2')) })], { gpuUuid: b, gpuInstanceId: 5 })])).toEqual([]);
    expect(found([of(undefined)])).toEqual([]);
  });

  it.each<[string, AllocatedDevice, number | undefined]>([
    ['a whole GPU', on(a), undefined],
    ['a GPU for one process', on(a, { share: { kind: 'exclusive-process' } }), undefined],
    ['half a GPU by turns', on(a, { share: { kind: 'time-sliced', milli: 500 } }), 40_000],
    ['half a GPU by MPS', on(a, { share: mps }), 40_000],
    ['a stated part of the memory', on(a, { share: { kind: 'mps', milli: 500, memoryMiB: 10_000 } }), 10_000],
    ['half a slice', on(b, { slice: big, share: mps }), 20_000],
    ['a slice whose memory is not known', on(b, { slice: small, share: mps }), undefined],
  ])('with %s may hold its memory and a context, and no more', (_, device, share) => {
    const instance = device.slice === undefined ? {} : { gpuInstanceId: device.slice === big ? 1 : 9 };
    const holding = (usedMemoryMiB: number | undefined) => found([of([device], { gpuUuid: device.gpu, ...instance, usedMemoryMiB })]);
    const most = (share ?? 79_000) + contextMemoryMiB;

    expect(holding(most)).toEqual([]);
    expect(holding(most + 1)).toEqual(share === undefined ? [] : ['memory-over-share 7']);
    expect(holding(undefined)).toEqual([]);
  });

  it('counts together with the others of its allocation, each with a context of its own', () => {
    const devices = [on(a, { share: { kind: 'time-sliced', milli: 500 } as const })];
    const pair = (usedMemoryMiB: number) => [of(devices, { pid: 1, usedMemoryMiB }), of(devices, { pid: 2, usedMemoryMiB })];

    expect(found(pair(20_000 + contextMemoryMiB))).toEqual([]);
    expect(found(pair(20_001 + contextMemoryMiB))).toEqual(['memory-over-share 1', 'memory-over-share 2']);
    // Another allocation on the same device is another account.
    expect(found(pair(20_001 + contextMemoryMiB).map((one) => ({ ...one, allocation: `x${one.pid}` })))).toEqual([]);
    // Listed twice, it holds its memory once.
    expect(found([of(devices, { usedMemoryMiB: 30_000 }), of(devices, { usedMemoryMiB: 30_000, type: 'compute-and-graphics' })])).toEqual(
      [],
    );
    // What was not measured is left out, and what is over without it is over.
    expect(found([...pair(30_000), of(devices, { pid: 3, usedMemoryMiB: undefined })])).toEqual([
      'memory-over-share 1',
      'memory-over-share 2',
    ]);
  });

  it('is not counted for the server that holds the memory of all of them', () => {
    const holder = { id: 'x', devices: [on(a, { share: mps })] };
    expect(found([{ ...server, usedMemoryMiB: 79_000 }, of(holder.devices, { usedMemoryMiB: undefined })], [holder])).toEqual([]);
  });
});
