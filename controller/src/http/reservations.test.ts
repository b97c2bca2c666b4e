import { Problem } from '@astrago/api';
import type { FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { turns } from '../testing/hand-clock.ts';
import { LoopBench } from '../testing/loop-bench.ts';
import { serve } from '../testing/serve.ts';

const hour = 3_600_000;
const year = 365 * 24 * hour;

let bench: LoopBench;
let server: FastifyInstance;
let now: number;

beforeEach(async () => {
  bench = new LoopBench();
  server = await serve(bench);
  now = bench.clock.nowMs();
  for (const workspace of ['team', 'other']) await ask('PUT', `workspaces/${workspace}`, {});
});
afterEach(() => bench[Symbol.asyncDispose]());

async function ask(method: 'GET' | 'POST' | 'PUT', url: string, body?: object) {
  const answer = await server.inject({
    method,
    url: `/api/v1/${url}`,
    headers: { authorization: 'Bearer right' },
    ...(body === undefined ? {} : { payload: body }),
  });
  return { status: answer.statusCode, json: answer.json<unknown>() };
}

const wanted = (more: object = {}) => ({ workspace: 'team', nodes: ['node-1'], fromMs: now + hour, untilMs: now + 3 * hour, ...more });
const shown = { name: 'demo', workspace: 'team', nodes: ['node-1'] };

describe('a reservation', () => {
  it('is made, shown, said anew and cancelled; it is on disk and in the audit log', async () => {
    const made = await ask('PUT', 'reservations/demo', wanted());
    expect(made).toEqual({ status: 200, json: { ...shown, fromMs: now + hour, untilMs: now + 3 * hour, inTheWay: [] } });
    expect((await ask('GET', 'reservations')).json).toEqual({ items: [made.json] });
    expect((await ask('GET', 'nodes/node-1')).json).toMatchObject({
      reservations: [{ name: 'demo', workspace: 'team', fromMs: now + hour, untilMs: now + 3 * hour }],
    });

    await ask('PUT', 'reservations/demo', wanted({ untilMs: now + 4 * hour }));
    expect(bench.opened.store.load().reservations).toEqual([{ ...shown, fromMs: now + hour, untilMs: now + 4 * hour }]);

    const cancelled = await ask('POST', 'reservations/demo/cancel');
    expect(cancelled).toMatchObject({ status: 200, json: shown });
    expect((await ask('GET', 'reservations')).json).toEqual({ items: [] });
    expect((await ask('GET', 'nodes/node-1')).json).toMatchObject({ reservations: [] });
    expect(bench.opened.store.load().reservations).toEqual([]);
    expect((await ask('POST', 'reservations/demo/cancel')).status).toBe(404);
    const audited = bench.opened.raw((database) => database.prepare('SELECT actor, action, subject FROM audit ORDER BY sequence').all());
    expect(audited.slice(-3)).toEqual(
      ['reserve', 'reserve', 'cancel-reservation'].map((action) => ({ actor: 'admin', action, subject: 'demo' })),
    );
  });

  it('takes nodes that are chosen, and says what is in the way there', async () => {
    await bench.submit('busy', '3g.40gb');

    const { json } = await ask('PUT', 'reservations/demo', wanted({ nodes: undefined, count: 1, model: 'H100' }));

    expect(json).toMatchObject({ ...shown, inTheWay: [{ workload: 'busy', workspace: 'default', node: 'node-1' }] });
    expect(JSON.stringify(json)).not.toContain('expectedEndMs');
  });

  it('is not shown any more when it is over, and forgotten soon', async () => {
    await ask('PUT', 'reservations/demo', wanted({ fromMs: now, untilMs: now + 10 }));
    await ask('PUT', 'reservations/later', wanted({ fromMs: now + hour }));
    await bench.clock.advance(10);
    expect((await ask('GET', 'reservations')).json).toMatchObject({ items: [{ name: 'later' }] });
    expect((await ask('POST', 'reservations/demo/cancel')).status).toBe(404);

    await bench.clock.advance(60_000);
    await turns();

    expect(bench.opened.store.load().reservations).toMatchObject([{ name: 'later' }]);
  });

  it.each([
    ['an unknown workspace', { workspace: 'nowhere' }, 404, 'not-found', '/workspace', /no workspace nowhere/],
    ['an unknown node', { nodes: ['node-1', 'node-9'] }, 404, 'not-found', '/nodes/1', /no node node-9/],
    ['a node twice', { nodes: ['node-1', 'node-1'] }, 400, 'invalid-request', '/nodes/1', /twice/],
    ['neither nodes nor a count', { nodes: undefined }, 400, 'invalid-request', '/nodes', /give nodes by name/],
    ['nodes and a count', { count: 1 }, 400, 'invalid-request', '/nodes', /or how many/],
    ['a model of nodes that are named', { model: 'h100' }, 400, 'invalid-request', '/model', /goes with count/],
    ['more nodes than there are', { nodes: undefined, count: 2 }, 422, 'impossible-reservation', '/count', /only 1 node with GPUs can be/],
    [
      'a model that is not there',
      { nodes: undefined, count: 1, model: 'a30' },
      422,
      'impossible-reservation',
      '/count',
      /0 nodes with a30/,
    ],
  ])('is refused with %s', async (_, more, status, code, pointer, detail) => {
    const answer = await ask('PUT', 'reservations/demo', wanted(more));

    expect(answer.status).toBe(status);
    expect(Problem.parse(answer.json)).toMatchObject({ code, errors: [{ pointer, detail: expect.stringMatching(detail) }] });
    expect((await ask('GET', 'reservations')).json).toEqual({ items: [] });
  });

  it.each([
    ['that ends before it begins', 2 * hour, 2 * hour, 400, '/untilMs', /ends after it begins/],
    ['that is over', (-2 * hour) / 10, 0, 422, '/untilMs', /over already/],
    ['that is too far', year + 1, year + 2, 422, '/fromMs', /more than a year from now/],
    ['that is too long', 1, year + 2, 422, '/untilMs', /longer than a year/],
  ])('is refused for a time %s', async (_, from, until, status, pointer, detail) => {
    const answer = await ask('PUT', 'reservations/demo', wanted({ fromMs: now + from, untilMs: now + until }));

    expect(answer.status).toBe(status);
    expect(Problem.parse(answer.json)).toMatchObject({ errors: [{ pointer, detail: expect.stringMatching(detail) }] });
  });

  it('may be a year from now, and a year long', async () => {
    expect((await ask('PUT', 'reservations/demo', wanted({ fromMs: now + year, untilMs: now + 2 * year }))).status).toBe(200);
  });

  it('does not take a node at a time at which another workspace has it, and leaves what was said before', async () => {
    await ask('PUT', 'reservations/expo', wanted({ workspace: 'other' }));

    const named = await ask('PUT', 'reservations/demo', wanted({ fromMs: now, untilMs: now + hour + 1 }));
    const counted = await ask('PUT', 'reservations/demo', wanted({ nodes: undefined, count: 1 }));
    const sameName = await ask('PUT', 'reservations/expo', wanted());
    const before = await ask('PUT', 'reservations/demo', wanted({ fromMs: now, untilMs: now + hour }));
    const own = await ask('PUT', 'reservations/expo-2', wanted({ workspace: 'other' }));

    expect([named.status, counted.status, sameName.status, before.status, own.status]).toEqual([409, 409, 409, 200, 200]);
    expect(Problem.parse(named.json)).toMatchObject({
      code: 'reservation-conflict',
      errors: [{ pointer: '/nodes/0' }],
      detail: expect.stringMatching(
        /^node node-1 is reserved for workspace other by expo from .* UTC until .* UTC; take another node or time$/,
      ),
    });
    expect(Problem.parse(counted.json).detail).toContain('1 more is reserved for other workspaces then');
    expect(Problem.parse(sameName.json).detail).toContain('expo is a reservation of workspace other');
    expect(bench.opened.store.load().reservations).toMatchObject([
      { name: 'demo', fromMs: now },
      { name: 'expo', workspace: 'other' },
      { name: 'expo-2', workspace: 'other' },
    ]);
  });

  it('is a name', async () => {
    expect((await ask('PUT', 'reservations/No', wanted())).status).toBe(400);
  });
});
