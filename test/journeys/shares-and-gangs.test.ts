import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startWorld, until, type World } from '../world/index.ts';

describe('shares of a GPU', () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ nodes: 1, gpus: 2 });
  }, 90_000);
  afterAll(() => world?.[Symbol.asyncDispose]());

  const share = (name: string, milli: number, by: 'mps' | 'time-slicing' = 'mps') =>
    world.client.submitWorkload({ body: { name, command: ['sh', '-c', 'env; sleep 300'], share: { by, milli } } });

  it('run beside each other on one GPU, each kept to its part by the driver', async () => {
    await share('a', 300);
    await share('b', 400);
    const [a, b] = [await world.reaches('a', 'running'), await world.reaches('b', 'running')];

    expect(a).toMatchObject({ enforcement: 'driver', devices: [{ share: { by: 'mps', milli: 300, memoryMiB: expect.any(Number) } }] });
    expect(b.devices[0]?.gpuUuid).toBe(a.devices[0]?.gpuUuid);
    const { items } = await world.client.listGpus();
    const shared = items.find(({ uuid }) => uuid === a.devices[0]?.gpuUuid);
    expect(shared?.shares.map(({ workload, milli }) => [workload, milli]).sort()).toEqual([
      ['a', 300],
      ['b', 400],
    ]);
    expect(shared?.workload).toBeUndefined();
    await until(async () => (await world.output('a')).includes('CUDA_MPS_ACTIVE_THREAD_PERCENTAGE=30'), 'a sees its part');
  });

  it('are never more than the GPU, nor of two ways on one', async () => {
    await share('c', 400);
    const c = await world.reaches('c', 'running');
    expect(c.devices[0]?.gpuUuid).not.toBe((await world.workload('a')).devices[0]?.gpuUuid);

    await share('turns', 100, 'time-slicing');
    await until(async () => (await world.workload('turns')).reason !== 'PendingEvaluation', 'it was looked at');
    expect((await world.workload('turns')).phase).toBe('queued');
    await world.client.stopWorkload({ params: { workload: 'c' } });
    expect(await world.reaches('turns', 'running')).toMatchObject({ enforcement: 'advisory' });
    expect((await world.client.auditInvariants()).findings).toEqual([]);
  });
});

describe('a gang', () => {
  it('starts whole or not at all, and is stopped whole', async () => {
    await using world = await startWorld({ nodes: 2, gpus: 2 });
    await world.client.submitWorkload({ body: { name: 'in-the-way', command: ['sleep', '300'], gpus: 1 } });
    await world.reaches('in-the-way', 'running');
    await world.client.submitGang({
      body: { name: 'train', command: ['sh', '-c', 'echo $GANG_MEMBER of $GANG_MEMBERS; sleep 300'], gpus: 1, members: { count: 4 } },
    });
    const phases = async () => (await world.client.getGang({ params: { gang: 'train' } })).items.map(({ phase }) => phase);

    await until(async () => (await world.workload('train-0')).reason !== 'PendingEvaluation', 'it was looked at');
    expect(await phases()).toEqual(['queued', 'queued', 'queued', 'queued']);
    const why = await world.client.whyWorkload({ params: { workload: 'train-0' } });
    expect(why.gang).toEqual({ members: 4, least: 4, places: 3, nodes: 2 });
    expect(why.remedies).toContainEqual(expect.objectContaining({ kind: 'stop', workloads: ['in-the-way'] }));
    // Nothing of a gang that waits is lost when the controller is.
    await world.controller.kill();
    await world.startController();

    await world.client.stopWorkload({ params: { workload: 'in-the-way' } });
    for (const number of [0, 1, 2, 3]) {
      await world.reaches(`train-${number}`, 'running');
      await until(async () => (await world.output(`train-${number}`)) === `${number} of 4\n`, 'it says its number');
    }
    await world.client.stopGang({ params: { gang: 'train' } });
    for (const number of [0, 1, 2, 3]) await world.reaches(`train-${number}`, 'cancelled');
    expect((await world.client.auditInvariants()).findings).toEqual([]);
  }, 120_000);

  it('of which some are enough starts with those, and the others join', async () => {
    await using world = await startWorld({ nodes: 1, gpus: 2 });
    await world.client.submitWorkload({ body: { name: 'in-the-way', command: ['sleep', '300'], gpus: 1 } });
    await world.reaches('in-the-way', 'running');
    await world.client.submitGang({
      body: { name: 'elastic', command: ['sleep', '300'], gpus: 1, members: { count: 2, least: 1 } },
    });
    await world.reaches('elastic-0', 'running');
    expect((await world.workload('elastic-1')).phase).toBe('queued');

    await world.client.stopWorkload({ params: { workload: 'in-the-way' } });

    await world.reaches('elastic-1', 'running');
  }, 120_000);
});
