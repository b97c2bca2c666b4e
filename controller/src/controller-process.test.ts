import { ClusterInfo, Problem, Workload } from '@astrago/api';
import { describe, expect, it } from 'vitest';
import { LeadershipLost } from './app/ports.ts';
import { ControllerBench } from './testing/controller-bench.ts';

const workloads = '/api/v1/workloads';

function body(name: string) {
  return { body: { name, command: ['true'], gpus: 1 } };
}

describe('a controller that is started again', () => {
  it('keeps what was accepted, under a new epoch', async () => {
    await using bench = new ControllerBench();
    const before = await bench.start();
    const token = bench.adminToken;
    const queued = Workload.parse((await bench.ask(before, 'POST', workloads, { ...body('kept'), key: 'key-1' })).json);
    await bench.ask(before, 'POST', workloads, body('ended'));
    await bench.ask(before, 'POST', `${workloads}/ended/stop`);
    await bench.ask(before, 'PUT', '/api/v1/workspaces/team-a', { body: { limit: { memory: 8 } } });
    await bench.stop(before);

    const after = await bench.start();

    expect(bench.adminToken).toBe(token);
    expect((await bench.ask(after, 'GET', `${workloads}/kept`)).json).toMatchObject({ id: queued.id, phase: 'queued' });
    expect((await bench.ask(after, 'GET', `${workloads}/ended`)).json).toMatchObject({ phase: 'cancelled' });
    expect((await bench.ask(after, 'GET', '/api/v1/workspaces')).json).toMatchObject({
      items: [{ name: 'default' }, { name: 'team-a', limit: { memory: 8 } }],
    });
    expect((await bench.ask(after, 'POST', workloads, { ...body('kept'), key: 'key-1' })).json).toMatchObject({ id: queued.id });
    expect(ClusterInfo.parse((await bench.ask(after, 'GET', '/api/v1/cluster')).json).epoch).toBe(2);
  });

  it('gives new workloads a place behind the old ones', async () => {
    await using bench = new ControllerBench();
    const before = await bench.start();
    await bench.ask(before, 'POST', workloads, body('old'));
    await bench.stop(before);

    const after = await bench.start();
    await bench.ask(after, 'POST', workloads, body('new'));

    expect((await bench.ask(after, 'GET', workloads)).json).toMatchObject({ items: [{ name: 'new' }, { name: 'old' }] });
  });
});

describe('a second controller on the same data', () => {
  it('takes the lead: the first one keeps nothing more, and ends', async () => {
    await using bench = new ControllerBench();
    const first = await bench.start();
    await bench.ask(first, 'POST', workloads, body('before'));
    const second = await bench.startBeside();

    const late = await bench.ask(first, 'POST', workloads, body('late'));

    expect(late.status).toBe(503);
    expect(Problem.parse(late.json).code).toBe('unavailable');
    await expect(first.failed).rejects.toBeInstanceOf(LeadershipLost);
    expect((await bench.ask(second, 'GET', workloads)).json).toMatchObject({ items: [{ name: 'before' }] });
    expect((await bench.ask(second, 'POST', workloads, body('after'))).status).toBe(201);
  });
});
