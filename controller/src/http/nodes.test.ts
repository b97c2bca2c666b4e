import { Problem } from '@astrago/api';
import type { NodeName, WorkloadId } from '@astrago/shared/domain/ids';
import type { FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { allocationChange, stepWorkload } from '#core/workload';
import { turns } from '../testing/hand-clock.ts';
import { LoopBench } from '../testing/loop-bench.ts';
import { serve } from '../testing/serve.ts';

let bench: LoopBench;
let server: FastifyInstance;

beforeEach(async () => {
  bench = new LoopBench();
  server = await serve(bench);
});
afterEach(() => bench[Symbol.asyncDispose]());

async function ask(method: 'GET' | 'POST', url: string, body?: object) {
  const answer = await server.inject({
    method,
    url: `/api/v1/${url}`,
    headers: { authorization: 'Bearer right' },
    ...(body === undefined ? {} : { payload: body }),
  });
  return { status: answer.statusCode, json: answer.json<unknown>() };
}

describe('a node', () => {
  it('takes labels and taints, shows them, and keeps them when it is heard from elsewhere', async () => {
    const labelled = await ask('POST', 'nodes/node-1/labels', { set: { rack: 'r1', zone: 'z' } });
    const tainted = await ask('POST', 'nodes/node-1/taints', { add: ['spot', 'team=a'] });
    await ask('POST', 'nodes/node-1/labels', { remove: ['zone'] });
    await bench.controller.fleet.heartbeat('node-1' as NodeName, '127.0.0.1:2', 'boot-2');

    expect(labelled.json).toMatchObject({ name: 'node-1', labels: { rack: 'r1', zone: 'z' }, taints: [] });
    expect(tainted.json).toMatchObject({ taints: ['spot', 'team=a'] });
    expect((await ask('GET', 'nodes')).json).toMatchObject({ items: [{ labels: { rack: 'r1' }, taints: ['spot', 'team=a'] }] });
    expect(bench.opened.store.load().nodes).toMatchObject([{ labels: { rack: 'r1' }, taints: ['spot', 'team=a'], bootId: 'boot-2' }]);
  });

  it.each([
    ['a label of no key', 'labels', { set: { '-': 'a' } }, '/set/-', /key/],
    ['a label of no value', 'labels', { set: { a: '' } }, '/set/a', /value/],
    ['a label that is a level of its own', 'labels', { set: { numa: 'a' } }, '/set/numa', /another key/],
    ['a label set and removed', 'labels', { set: { a: 'b' }, remove: ['a'] }, '/remove/0', /at once/],
    ['an unreadable taint', 'taints', { add: ['a='] }, '/add/0', /key=value/],
    ['a taint added and removed', 'taints', { add: ['a=b'], remove: ['a'] }, '/remove/0', /at once/],
  ])('refuses %s where it says so', async (_, what, body, pointer, detail) => {
    const answer = await ask('POST', `nodes/node-1/${what}`, body);

    expect(answer.status).toBe(400);
    expect(Problem.parse(answer.json).errors).toEqual([{ pointer, detail: expect.stringMatching(detail) }]);
  });

  it.each(['labels', 'taints'])('that is not there is not found (%s)', async (what) => {
    expect((await ask('POST', `nodes/nowhere/${what}`, {})).status).toBe(404);
  });
});

describe('a member of a gang', () => {
  it('is told its number and how many there are, unless the submitter has said something else', async () => {
    await ask('POST', 'gangs', { name: 'pair', command: ['x'], slice: '1g.10gb', members: { count: 2 }, environment: { A: 'b' } });
    await ask('POST', 'gangs', {
      name: 'own',
      command: ['x'],
      slice: '1g.10gb',
      members: { count: 1 },
      environment: { GANG_MEMBER: 'me' },
    });
    await turns();

    const told = bench.agents.ordersTo('node-1').at(-1)?.content.allocations ?? [];
    expect(told.map(({ workload, intent }) => [workload, intent.kind === 'run' ? intent.environment : undefined])).toEqual([
      ['pair-0', { GANG_MEMBER: '0', GANG_MEMBERS: '2', A: 'b' }],
      ['pair-1', { GANG_MEMBER: '1', GANG_MEMBERS: '2', A: 'b' }],
      ['own-0', { GANG_MEMBER: 'me', GANG_MEMBERS: '1' }],
    ]);
  });
});

describe('evicted work', () => {
  it('is shown while it is stopping, and explained while it waits again', async () => {
    await bench.submit('small', '7g.80gb');
    await bench.report('small', { kind: 'running', startedAtMs: undefined });
    await bench.submit('first', '7g.80gb');
    const beneficiary = bench.opened.store.findWorkload('first', undefined)?.id as WorkloadId;
    await bench.controller.journal.commit('scheduler', (draft) => {
      for (const allocation of draft.cluster.allocations.values()) {
        const workload = draft.cluster.workloads.get(allocation.workload) ?? expect.unreachable();
        const next = stepWorkload(workload, {
          kind: 'evicted',
          eviction: { cause: 'preempted', beneficiary, node: allocation.node, atMs: 1 },
        });
        draft.apply({ kind: 'workload', record: next });
        draft.apply(allocationChange(allocation, next, undefined) ?? expect.unreachable());
      }
    });
    expect((await ask('GET', 'workloads/small')).json).toMatchObject({
      phase: 'stopping',
      eviction: { cause: 'preempted', beneficiary, count: 1 },
    });
    expect((await ask('GET', 'workloads/small/why')).json).toMatchObject({
      sentence: 'small is being stopped on node-1 (GPU 0 7g.80gb@0) to make room for first (preempted), and queues again.',
    });
    expect(bench.ordered).toEqual([['small', 'stop']]);

    // The one it made room for was submitted later, so today's order of the queue gives it its place back: it is cordoned.
    await ask('POST', 'nodes/node-1/cordon');
    await bench.report('small', { kind: 'exited', exitCode: 0, startedAtMs: undefined, endedAtMs: undefined });

    expect((await ask('GET', 'workloads/small')).json).toMatchObject({
      phase: 'queued',
      detail: 'it was stopped to make room: it gave way to work that goes first',
    });
    expect((await ask('GET', 'workloads/small/why')).json).toMatchObject({
      sentence: expect.stringContaining('It was stopped to make room for first (preempted) and queues again.') as string,
    });
  });
});
