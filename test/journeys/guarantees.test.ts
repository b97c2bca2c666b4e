import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startWorld, until, type World } from '../world/index.ts';

/** A whole H100 is 7 compute and 8 memory slices. */
const oneGpu = { compute: 7, memory: 8 };

describe('two workspaces that are guaranteed a GPU each', () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ nodes: 1, gpus: 2, controllerEnvironment: { ASTRAGO_PROTECTION_MS: '1' } });
    for (const workspace of ['a', 'b']) await world.client.putWorkspace({ params: { workspace }, body: { limit: {}, guaranteed: oneGpu } });
  }, 90_000);
  afterAll(() => world?.[Symbol.asyncDispose]());

  const submit = (name: string, workspace: string, more: object = {}) =>
    world.client.submitWorkload({ body: { name, workspace, command: ['sh', '-c', 'echo begun; sleep 300'], gpus: 1, ...more } });

  it('lend what is idle, and get it back when they ask for it', async () => {
    await submit('own', 'a', { interruptible: 'restart' });
    await world.reaches('own', 'running');
    await submit('more', 'a', { interruptible: 'restart' });
    expect(await world.reaches('more', 'running')).toMatchObject({ borrowed: true });

    await submit('theirs', 'b');
    await world.reaches('theirs', 'running');

    expect(await world.workload('own')).toMatchObject({ phase: 'running' });
    expect(await world.workload('more')).toMatchObject({ phase: 'queued', eviction: { cause: 'reclaimed', count: 1 } });
    const why = await world.client.whyWorkload({ params: { workload: 'more' } });
    expect(why.sentence).toContain('theirs');
    expect((await world.client.auditInvariants()).findings).toEqual([]);
  });

  it('let what was stopped begin anew when there is room again, also after the controller was killed', async () => {
    await world.controller.kill();
    await world.startController();
    await world.client.stopWorkload({ params: { workload: 'theirs' } });
    await world.reaches('more', 'running');
    // The output of its latest start.
    await until(async () => (await world.output('more')) === 'begun\n', 'it begins anew');
  });

  it('do not lend to what may not be interrupted, and say so', async () => {
    await submit('stubborn', 'a');
    await until(async () => (await world.workload('stubborn')).reason === 'WaitingForGuarantee', 'it is told why it waits');
    await world.client.stopWorkload({ params: { workload: 'stubborn' } });
    await world.reaches('stubborn', 'cancelled');
  });

  it('let what goes first in a workspace have the place of what goes last there', async () => {
    await submit('urgent', 'a', { priority: 10, interruptible: 'restart' });
    await world.reaches('urgent', 'running');
    const phases = [(await world.workload('own')).phase, (await world.workload('more')).phase].sort();
    expect(phases).toEqual(['queued', 'running']);
    expect((await world.client.auditInvariants()).findings).toEqual([]);
  });
});
