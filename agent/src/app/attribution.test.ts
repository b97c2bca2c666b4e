import { parseGpuUuid } from '@astrago/shared/domain/ids';
import { describe, expect, it } from 'vitest';
import { emptyOrder } from '#core/order';
import { Attribution, type CgroupPlace } from './attribution.ts';
import type { Launched, ObservedProcess } from './ports.ts';

const gpu = parseGpuUuid('GPU-00000000-0000-0000-0000-000000000001') ?? fail();
const inPod: CgroupPlace = { podUid: 'pod-uid', containerId: 'container' };
const nowhere: CgroupPlace = { podUid: undefined, containerId: undefined };

function fail(): never {
  throw new Error('the test is wrong');
}

/** A machine whose processes a test sets. */
function machine() {
  const processes = new Map<number, { startTime: string; place: CgroupPlace }>();
  const owners = new Map<string, readonly number[]>();
  const launched = new Map<string, Launched>();
  const looks = { place: 0, launched: 0 };
  const attribution = new Attribution({
    inspector: {
      facts: (pid) => processes.get(pid),
      place: async (pid) => {
        looks.place += 1;
        return processes.get(pid)?.place ?? nowhere;
      },
    },
    launcher: {
      pidsByAllocation: async () => owners,
      launched: async (id) => {
        looks.launched += 1;
        return launched.get(id);
      },
    },
    order: () => emptyOrder,
  });
  return { processes, owners, launched, looks, attribution };
}

function seen(pid: number, more: Partial<ObservedProcess> = {}): ObservedProcess {
  return { gpuUuid: gpu, gpuInstanceId: undefined, computeInstanceId: undefined, pid, name: 'python', usedMemoryMiB: 100, ...more };
}

function launchedWith(devices: Launched['devices'], workspace: string): Launched {
  return {
    allocation: 'a',
    workload: 'train',
    devices,
    command: ['python'],
    environment: { ASTRAGO_WORKSPACE: workspace },
    workingDirectory: '/',
  };
}

describe('a process on a GPU', () => {
  it('has its allocation, workload, workspace, devices, pod and container', async () => {
    const { attribution, processes, owners, launched } = machine();
    processes.set(7, { startTime: '70', place: inPod });
    owners.set('a', [6, 7]);
    launched.set('a', launchedWith([{ gpu, slice: undefined }], 'team'));

    expect(await attribution.attribute([seen(7)])).toEqual([
      {
        ...seen(7),
        allocation: 'a',
        workload: 'train',
        workspace: 'team',
        devices: [{ gpu, slice: undefined }],
        startTime: '70',
        podUid: 'pod-uid',
        containerId: 'container',
        mpsRole: undefined,
      },
    ]);
  });

  it('that nobody explains has a place and nothing more', async () => {
    const { attribution, processes } = machine();
    processes.set(7, { startTime: '70', place: inPod });

    expect(await attribution.attribute([seen(7)])).toEqual([
      expect.objectContaining({ allocation: undefined, podUid: 'pod-uid', startTime: '70' }),
    ]);
  });

  it('that has ended since it was listed keeps what the driver said, and no identity', async () => {
    const { attribution } = machine();

    expect(await attribution.attribute([seen(7)])).toEqual([{ ...seen(7), allocation: undefined }]);
  });

  it('is a server or a client of MPS', async () => {
    const { attribution, processes, owners, launched } = machine();
    for (const pid of [1, 2, 3, 4]) processes.set(pid, { startTime: '1', place: nowhere });
    owners.set('a', [2]);
    launched.set('a', launchedWith([{ gpu, slice: undefined, share: { kind: 'mps', milli: 500, memoryMiB: undefined } }], 'team'));

    const roles = (
      await attribution.attribute([seen(1, { name: '/usr/bin/nvidia-cuda-mps-server' }), seen(2), seen(3, { type: 'mps-client' }), seen(4)])
    ).map(({ mpsRole }) => mpsRole);

    expect(roles).toEqual(['server', 'client', 'client', undefined]);
  });
});

describe('a number that goes to another process while it is looked up', () => {
  it('does not get that process its place', async () => {
    const starts = ['70', '99'];
    const attribution = new Attribution({
      inspector: { facts: () => ({ startTime: starts.shift() ?? '99' }), place: async () => inPod },
      launcher: { pidsByAllocation: async () => new Map(), launched: async () => undefined },
      order: () => emptyOrder,
    });
    const [found] = await attribution.attribute([seen(7)]);
    expect(found).toMatchObject({ startTime: '70', podUid: undefined, containerId: undefined });
  });
});

describe('what is remembered', () => {
  it('is looked up once, and again for another process with the same number', async () => {
    const { attribution, processes, owners, launched, looks } = machine();
    processes.set(7, { startTime: '70', place: inPod });
    owners.set('a', [7]);
    launched.set('a', launchedWith([], 'team'));
    for (let round = 0; round < 5; round += 1) await attribution.attribute([seen(7), seen(7)]);
    expect(looks).toEqual({ place: 1, launched: 1 });

    processes.set(7, { startTime: '99', place: { ...inPod, podUid: 'another' } });
    const [found] = await attribution.attribute([seen(7)]);

    expect(found).toMatchObject({ startTime: '99', podUid: 'another' });
  });

  it('is forgotten with the process', async () => {
    const { attribution, processes, looks } = machine();
    processes.set(7, { startTime: '70', place: inPod });
    await attribution.attribute([seen(7)]);
    await attribution.attribute([]);
    await attribution.attribute([seen(7)]);

    expect(looks.place).toBe(2);
  });

  it('is not that a process is in no container while it may only be on its way into one', async () => {
    const { attribution, processes, looks } = machine();
    const process = { startTime: '70', place: nowhere };
    processes.set(7, process);
    expect((await attribution.attribute([seen(7)]))[0]?.podUid).toBeUndefined();

    process.place = inPod;
    expect((await attribution.attribute([seen(7)]))[0]?.podUid).toBe('pod-uid');

    processes.set(8, { startTime: '80', place: nowhere });
    const before = looks.place;
    for (let round = 0; round < 20; round += 1) await attribution.attribute([seen(8)]);
    expect(looks.place - before).toBe(3);
  });
});
