import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startWorld, until, type World } from '../world/index.ts';

describe('a layout asked by an admin', () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ nodes: 1, gpus: 2 });
  }, 90_000);
  afterAll(() => world?.[Symbol.asyncDispose]());

  const gpu = async (index: number) => (await world.client.listGpus()).items.find((one) => one.index === index) ?? expect.unreachable();
  const live = async (index: number) =>
    (await gpu(index)).slices.filter((slice) => slice.state === 'live').map((slice) => `${slice.profile}@${slice.start}`);
  const set = (index: number, layout: string, dryRun?: 'true') =>
    world.client.setLayout({ params: { node: 'sim-1', gpu: String(index) }, query: { dryRun: dryRun ?? 'false' }, body: { layout } });

  it('is shown without being made on a dry run', async () => {
    const plan = await set(1, '3g.40gb,1g.10gb*4', 'true');

    expect(plan).toMatchObject({ applied: false, modeChange: 'enable' });
    expect(plan.create).toHaveLength(5);
    expect((await gpu(1)).layout).toBeUndefined();
  });

  it('is made, pinned, and used by what fits it', async () => {
    await set(1, '3g.40gb,1g.10gb*4');

    await until(async () => (await live(1)).length === 5, 'five slices are live').catch((cause: unknown) => {
      throw new Error(world.logs(), { cause });
    });
    expect((await gpu(1)).layoutPinned).toBe(true);
    await world.client.submitWorkload({ body: { name: 'user', command: ['sleep', '300'], slice: '3g.40gb' } });
    const user = await world.reaches('user', 'running');
    expect(user.devices[0]?.gpuIndex).toBe(1);
  });

  it('keeps used slices where they are', async () => {
    const before = (await gpu(1)).slices.find((slice) => slice.workload === 'user');

    const plan = await set(1, '3g.40gb*2');
    await until(async () => (await live(1)).join() === '3g.40gb@0,3g.40gb@4', 'the other half is recut');

    expect(plan.keep).toEqual([expect.objectContaining({ profile: '3g.40gb', workload: 'user' })]);
    expect((await gpu(1)).slices.find((slice) => slice.workload === 'user')).toEqual(before);
    expect(await world.workload('user')).toMatchObject({ phase: 'running' });
  });

  it('is refused with the names of the workloads in the way', async () => {
    await expect(set(1, '7g.80gb')).rejects.toMatchObject({ problem: { code: 'layout-blocked', blockers: ['user'] } });
    await expect(set(1, 'whole')).rejects.toMatchObject({ problem: { code: 'layout-blocked', blockers: ['user'] } });
    await expect(set(1, '5g.50gb')).rejects.toMatchObject({ problem: { code: 'impossible-layout' } });
    await expect(set(1, 'nonsense*')).rejects.toMatchObject({ problem: { code: 'invalid-request' } });
  });

  it('goes back to the scheduler', async () => {
    await world.client.stopWorkload({ params: { workload: 'user' } });
    await world.reaches('user', 'cancelled');

    await world.client.setLayout({ params: { node: 'sim-1', gpu: '1' }, body: { automatic: true } });

    expect((await gpu(1)).layoutPinned).toBe(false);
  });
});
