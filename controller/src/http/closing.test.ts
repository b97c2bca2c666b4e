import { describe, expect, it } from 'vitest';
import { ControllerBench } from '../testing/controller-bench.ts';

describe('a controller that is stopped', () => {
  it('ends the output that someone follows, and answers what it was asked', async () => {
    await using bench = new ControllerBench();
    const controller = await bench.start();
    await bench.ask(controller, 'POST', '/api/v1/workloads', { body: { name: 'waiting', command: ['true'] } });
    const headers = { authorization: `Bearer ${bench.adminToken}` };
    const following = await fetch(`${controller.url}/api/v1/workloads/waiting/logs?follow=true`, { headers });
    const asked = bench.ask(controller, 'POST', '/api/v1/workloads', { body: { name: 'last', command: ['true'] } });
    expect((await asked).status).toBe(201);

    await bench.stop(controller);

    expect([following.status, following.headers.get('content-type')]).toEqual([200, 'text/plain; charset=utf-8']);
    expect(following.headers.get('x-content-type-options')).toBe('nosniff');
    expect(await following.text()).toBe('');
    await expect(fetch(`${controller.url}/healthz`)).rejects.toThrow();
  });
});
