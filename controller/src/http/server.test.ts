import { Problem, type Route, routes, Workload } from '@astrago/api';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import type { RunningController } from '../controller-process.ts';
import { type Answer, type Ask, ControllerBench } from '../testing/controller-bench.ts';

const command = ['true'];
const workloads = '/api/v1/workloads';
const Page = z.object({ items: z.array(Workload), nextCursor: z.string().optional() });

let bench: ControllerBench;
let controller: RunningController;

beforeAll(async () => {
  bench = new ControllerBench();
  controller = await bench.start();
});

afterAll(() => bench[Symbol.asyncDispose]());

const ask = (method: string, path: string, more: Ask = {}): Promise<Answer> => bench.ask(controller, method, path, more);

const submit = (body: object, more: Ask = {}): Promise<Answer> => ask('POST', workloads, { body, ...more });

/** The answer as problem details, whose status is the one of the answer. */
function problemOf(answer: Answer): Problem {
  expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  const problem = Problem.parse(answer.json);
  expect(problem.status).toBe(answer.status);
  expect(problem.type).toBe(`urn:astrago:problem:${problem.code}`);
  return problem;
}

describe('the API', () => {
  it.each([
    ['no token', undefined],
    ['a wrong token', 'wrong'],
  ])('stays shut for %s', async (_what, token) => {
    const answer = await ask('GET', workloads, { token });

    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    expect(problemOf(answer).code).toBe('unauthenticated');
  });

  it.each([
    ['a field it does not know', { name: 'a', command, gpu: 1 }, '/', /gpu/],
    ['a slice and GPUs together', { name: 'a', command, slice: '1g.10gb', gpus: 1 }, '/slice', /not both/],
    ['a name that is none', { name: 'Not A Name', command }, '/name', /lower-case/],
    ['no command', { name: 'a' }, '/command', /./],
    ['a command that is no list', { name: 'a', command: ['true', 1] }, '/command/1', /./],
  ])('says where the body has %s', async (_what, body, pointer, detail) => {
    const answer = await submit(body);

    expect(answer.status).toBe(400);
    const problem = problemOf(answer);
    expect(problem.code).toBe('invalid-request');
    expect(problem.errors).toEqual([{ pointer, detail: expect.stringMatching(detail) }]);
  });

  it.each([
    ['no route', 'GET', '/api/v2/nothing'],
    ['no workload', 'GET', `${workloads}/nothing`],
    ['no node', 'POST', '/api/v1/nodes/nothing/cordon'],
  ])('says that there is %s of that name', async (_what, method, path) => {
    const answer = await ask(method, path);

    expect(answer.status).toBe(404);
    expect(problemOf(answer).code).toBe('not-found');
  });

  it('does not take a cursor that is not its own', async () => {
    const answer = await ask('GET', `${workloads}?cursor=abc`);

    expect(answer.status).toBe(400);
    expect(problemOf(answer).code).toBe('invalid-request');
  });
});

describe('submitting', () => {
  it('queues a workload', async () => {
    const answer = await submit({ name: 'queued', command, slice: '1g.10gb' });

    expect(answer.status).toBe(201);
    expect(Workload.parse(answer.json)).toMatchObject({ name: 'queued', workspace: 'default', phase: 'queued', slice: '1g.10gb' });
  });

  it('gives the same workload for the same key and request, and refuses the key for another', async () => {
    const body = { name: 'once', command };
    const first = await submit(body, { key: 'key-once' });
    const second = await submit(body, { key: 'key-once' });
    const other = await submit({ name: 'other', command }, { key: 'key-once' });

    expect([first.status, second.status, other.status]).toEqual([201, 201, 422]);
    expect(Workload.parse(second.json).id).toBe(Workload.parse(first.json).id);
    expect(problemOf(other).code).toBe('idempotency-conflict');
  });

  it('gives the same workload when the requests of one key come at once', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => submit({ name: 'at-once', command }, { key: 'key-at-once' })));

    expect(answers.map((answer) => answer.status)).toEqual(Array.from({ length: 8 }, () => 201));
    expect(new Set(answers.map((answer) => Workload.parse(answer.json).id)).size).toBe(1);
  });

  it('refuses one key of two requests that come at once, and takes what comes beside them', async () => {
    const [a, b, beside] = await Promise.all([
      submit({ name: 'twin-a', command }, { key: 'key-twins' }),
      submit({ name: 'twin-b', command }, { key: 'key-twins' }),
      submit({ name: 'beside-twins', command }),
    ]);

    expect([a.status, b.status].sort()).toEqual([201, 422]);
    expect(beside.status).toBe(201);
  });

  it('refuses the name of a live workload, until that has ended', async () => {
    await submit({ name: 'taken', command });
    const again = await submit({ name: 'taken', command });
    await ask('POST', `${workloads}/taken/stop`);
    const later = await submit({ name: 'taken', command });

    expect([again.status, later.status]).toEqual([409, 201]);
    expect(problemOf(again).code).toBe('name-taken');
  });

  it('refuses a workspace that is not there', async () => {
    const answer = await submit({ name: 'lost', workspace: 'nowhere', command });

    expect(problemOf(answer).code).toBe('not-found');
  });
});

describe('a queued workload', () => {
  it('says why it waits', async () => {
    await submit({ name: 'waiting', command, gpus: 1 });

    await vi.waitFor(async () =>
      expect((await ask('GET', `${workloads}/waiting`)).json).toMatchObject({ phase: 'queued', reason: 'NoNodes' }),
    );

    const why = await ask('GET', `${workloads}/waiting/why`);
    expect(why.json).toMatchObject({
      workload: 'waiting',
      phase: 'queued',
      reason: 'NoNodes',
      sentence: expect.stringContaining('waiting'),
    });
  });

  it('is cancelled when stopped, and cannot be stopped again', async () => {
    await submit({ name: 'stopped', command });

    const first = await ask('POST', `${workloads}/stopped/stop`);
    const second = await ask('POST', `${workloads}/stopped/stop`);

    expect(first.status).toBe(200);
    expect(first.json).toMatchObject({ phase: 'cancelled', reason: 'cancelled-in-queue', endedAtMs: expect.any(Number) });
    expect((await ask('GET', `${workloads}/stopped`)).json).toMatchObject({ phase: 'cancelled' });
    expect(second.status).toBe(409);
    expect(problemOf(second).code).toBe('already-ended');
  });
});

describe('workspaces', () => {
  it('take a limit, and show it', async () => {
    const put = await ask('PUT', '/api/v1/workspaces/team-a', { body: { limit: { compute: 7 } } });
    const listed = await ask('GET', '/api/v1/workspaces');

    const none = { compute: 0, memory: 0, cpuMilli: 0, memoryMiB: 0 };
    const workspace = { name: 'team-a', limit: { compute: 7 }, weight: 1, used: none, usedWithChildren: none, queued: 0, running: 0 };
    expect(put.status).toBe(200);
    expect(put.json).toEqual(workspace);
    expect(listed.json).toMatchObject({ items: [{ name: 'default', limit: {} }, workspace] });
  });

  it('do not take a limit below nothing', async () => {
    const answer = await ask('PUT', '/api/v1/workspaces/team-a', { body: { limit: { compute: -1 } } });

    expect(problemOf(answer).errors).toEqual([{ pointer: '/limit/compute', detail: expect.any(String) }]);
  });
});

describe('the list of workloads', () => {
  it('is walked page by page, each workload once, newest first', async () => {
    await ask('PUT', '/api/v1/workspaces/paged', { body: { limit: {} } });
    const names = Array.from({ length: 7 }, (_, index) => `page-${index}`);
    for (const name of names) await submit({ name, workspace: 'paged', command });

    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = Page.parse(
        (await ask('GET', `${workloads}?workspace=paged&limit=3${cursor === undefined ? '' : `&cursor=${cursor}`}`)).json,
      );
      expect(page.items.length).toBeLessThanOrEqual(3);
      seen.push(...page.items.map((workload) => workload.name));
      cursor = page.nextCursor;
    } while (cursor !== undefined);

    expect(seen).toEqual(names.toReversed());
  });

  it('is filtered by phase', async () => {
    await submit({ name: 'ended-one', command });
    await ask('POST', `${workloads}/ended-one/stop`);

    const ended = Page.parse((await ask('GET', `${workloads}?phase=ended&limit=1000`)).json);
    const live = Page.parse((await ask('GET', `${workloads}?phase=live&limit=1000`)).json);

    expect(ended.items.map((workload) => workload.name)).toContain('ended-one');
    expect(new Set(ended.items.map((workload) => workload.phase))).toEqual(new Set(['cancelled']));
    expect(new Set(live.items.map((workload) => workload.phase))).toEqual(new Set(['queued']));
  });
});

describe('what machines ask for', () => {
  it('is an OpenAPI document with every route of the table', async () => {
    const answer = await ask('GET', '/api/openapi.json', { token: undefined });

    const document = z
      .object({ openapi: z.string(), paths: z.record(z.string(), z.record(z.string(), z.object({ operationId: z.string() }))) })
      .parse(answer.json);
    const listed = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { operationId }]) => `${operationId}: ${method.toUpperCase()} ${path}`),
    );
    const table = Object.entries<Route>(routes).map(([name, route]) => `${name}: ${route.method} ${route.path}`);
    expect(document.openapi).toBe('3.1.0');
    expect(listed.sort()).toEqual(table.sort());
  });

  it.each(['/healthz', '/readyz'])('is answered at %s without a token', async (path) => {
    expect((await ask('GET', path, { token: undefined })).status).toBe(200);
  });

  it('is metrics of our names, each with a number', async () => {
    const { text, headers } = await ask('GET', '/metrics', { token: undefined });

    const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    expect(headers.get('content-type')).toMatch(/^text\/plain/);
    expect(samples).toContain('astrago_nodes{state="ready"} 0');
    expect(samples.filter((line) => !/^astrago_[a-z_]+(\{.*\})? -?\d+(\.\d+)?(e[+-]?\d+)?$/.test(line))).toEqual([]);
  });
});
