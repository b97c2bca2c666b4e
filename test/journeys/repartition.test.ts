import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startWorld, until, type World } from '../world/index.ts';

const program = join(import.meta.dirname, '../../controller/cli/main.ts');
const names = Array.from({ length: 7 }, (_, index) => `small-${index}`);

describe('work in the way of other work', () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ nodes: 1, gpus: 1 });
  }, 90_000);
  afterAll(() => world?.[Symbol.asyncDispose]());

  function astrago(...words: readonly string[]): string {
    const env = { PATH: process.env['PATH'], ASTRAGO_URL: world.url, ASTRAGO_TOKEN: readFileSync(world.adminTokenFile, 'utf8').trim() };
    const { stdout, stderr, status } = spawnSync(process.execPath, [program, ...words], { env, encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    return stdout;
  }

  it('is proposed to be moved, moves when that is asked for, and lets the other begin', async () => {
    for (const name of names)
      await world.client.submitWorkload({
        body: { name, command: ['sh', '-c', 'echo begun; sleep 300'], slice: '1g.10gb', interruptible: 'restart' },
      });
    for (const name of names) await world.reaches(name, 'running');
    const running = await Promise.all(names.map((name) => world.workload(name)));
    const middle = running.find(({ devices }) => devices[0]?.slice?.start === 1) ?? expect.unreachable();
    for (const { name } of running) if (name !== middle.name) await world.client.stopWorkload({ params: { workload: name } });
    for (const { name } of running) if (name !== middle.name) await world.reaches(name, 'cancelled');
    await world.client.submitWorkload({ body: { name: 'large', command: ['sleep', '300'], slice: '4g.40gb' } });
    await until(async () => (await world.workload('large')).reason === 'FragmentedSlots', 'it waits, though there is enough in all');

    const proposal = await until(async () => (await world.client.listProposals()).items[0], 'moving is proposed');
    expect(proposal.moves).toMatchObject([{ workload: middle.name, from: { slice: { profile: '1g.10gb', start: 1 } } }]);
    expect(proposal.gains).toEqual([{ ask: '4g.40gb', count: 1 }]);
    expect(astrago('plan')).toContain(`1 x 4g.40gb fit after moving ${middle.name} from `);
    expect((await world.workload(middle.name)).phase).toBe('running');

    expect(astrago('plan', '--apply', proposal.id)).toContain('is carried out');

    await world.reaches('large', 'running');
    const moved = await world.reaches(middle.name, 'running');
    expect(moved.devices[0]?.slice?.start).toBeGreaterThanOrEqual(4);
    expect(moved.id).toBe(middle.id);
    expect(await world.output(middle.name)).toBe('begun\n');
    expect((await world.client.listProposals()).items).toEqual([]);
    expect((await world.client.auditInvariants()).findings).toEqual([]);
    expect(astrago('plan')).toContain('There is no proposal');
  }, 120_000);

  it('is left alone in a pool where planning is off, also after the controller was started again', async () => {
    expect(astrago('pool', 'h100', '--repartition', 'off')).toMatch(/NVIDIA H100 80GB HBM3 +1 +off/);
    await world.controller.kill();
    await world.startController();
    await until(async () => (await world.client.listPools()).items.length > 0, 'the node has shown its GPUs');
    expect((await world.client.listPools()).items).toEqual([{ model: 'NVIDIA H100 80GB HBM3', gpus: 1, repartition: 'off' }]);
  }, 60_000);
});
