// What nvidia-smi does to us: creates that fail, hangs, a node that is gone. Each ends in a stated state.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { startWorld, until, type World } from '../world/index.ts';

let world: World | undefined;
afterEach(async () => {
  await world?.[Symbol.asyncDispose]();
  world = undefined;
});

function setFaults(world: World, node: string, faults: object): void {
  writeFileSync(join(world.node(node).machine, 'faults.json'), JSON.stringify(faults));
}

describe('a create that fails', () => {
  it('ends the workload with the reason and what the driver said, after it was tried', async () => {
    world = await startWorld({ nodes: 1, gpus: 1 });
    setFaults(world, 'sim-1', {
      rules: [
        {
          match: { args: '-cgi' },
          action: {
            stdout:
              'Unable to create a GPU instance on GPU  0 using profile 9: Insufficient Resources\nFailed to create GPU instances: Insufficient Resources\n',
            exitCode: 19,
          },
        },
      ],
    });

    await world.client.submitWorkload({ body: { name: 'unlucky', command: ['true'], slice: '3g.40gb' } });
    const waiting = await until(
      async () => {
        const seen = await world?.workload('unlucky');
        return seen !== undefined && (seen.phase === 'failed' || (seen.phase === 'queued' && seen.detail !== undefined)) && seen;
      },
      'the failed create is told',
      60_000,
    );

    expect(waiting.phase === 'failed' ? waiting.reason : waiting.detail).toMatch(/create-failed|Insufficient Resources/);
    expect((await world.client.auditInvariants()).findings).toEqual([]);
  }, 120_000);
});

describe('an nvidia-smi that hangs on one GPU', () => {
  it('keeps neither the node nor the other GPU from working', async () => {
    const here = await startWorld({ nodes: 1, gpus: 2 });
    world = here;
    const [first] = (await world.client.listGpus()).items;
    setFaults(world, 'sim-1', { rules: [{ match: { args: '-cgi', gpu: first?.uuid }, action: { hang: true } }] });

    for (const name of ['a', 'b', 'c', 'd']) await world.client.submitWorkload({ body: { name, command: ['true'], slice: '3g.40gb' } });

    await until(
      async () => {
        const { items } = await here.client.listWorkloads({ query: { phase: 'succeeded' } });
        return items.length >= 2;
      },
      'the other GPU takes its work',
      60_000,
    );
    expect((await world.client.listNodes()).items).toMatchObject([{ state: 'ready' }]);
  }, 120_000);
});

describe('a node that is gone', () => {
  it('fails its work with the reason, holds its places until it is back, and runs nothing twice', async () => {
    world = await startWorld({
      nodes: 1,
      gpus: 1,
      controllerEnvironment: { ASTRAGO_NODE_UNREACHABLE_AFTER_MS: '1500', ASTRAGO_NODE_LOST_AFTER_MS: '2500' },
    });
    await world.client.submitWorkload({ body: { name: 'on-it', command: ['sleep', '300'], slice: '3g.40gb' } });
    await world.reaches('on-it', 'running');

    await world.node('sim-1').agent.kill();

    expect(await world.reaches('on-it', 'failed')).toMatchObject({ reason: 'node-lost' });
    expect((await world.client.listGpus()).items[0]?.allocatedUnits).toEqual({ compute: 3, memory: 4 });
    await world.client.submitWorkload({ body: { name: 'next', command: ['true'], slice: '7g.80gb' } });
    await until(async () => (await world?.workload('next'))?.reason === 'NodeUnreachable', 'the next one waits for the node');

    world.node('sim-1').agent.start();

    await world.reaches('next', 'succeeded', 60_000);
    expect(await world.workload('on-it')).toMatchObject({ phase: 'failed', reason: 'node-lost' });
    expect((await world.client.auditInvariants()).findings).toEqual([]);
  }, 120_000);
});
