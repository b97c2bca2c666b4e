import { Problem, WorkspaceSet } from '@astrago/api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunningController } from '../controller-process.ts';
import { type Answer, type Ask, ControllerBench } from '../testing/controller-bench.ts';

let bench: ControllerBench;
let controller: RunningController;

beforeAll(async () => {
  bench = new ControllerBench();
  controller = await bench.start();
});
afterAll(() => bench[Symbol.asyncDispose]());

const ask = (method: string, path: string, more: Ask = {}): Promise<Answer> => bench.ask(controller, method, path, more);
const put = (name: string, body: object): Promise<Answer> => ask('PUT', `/api/v1/workspaces/${name}`, { body });
const change = (name: string, body: object): Promise<Answer> => ask('POST', `/api/v1/workspaces/${name}`, { body });
const show = async (name: string): Promise<unknown> => (await ask('GET', `/api/v1/workspaces/${name}`)).json;

describe('a workspace', () => {
  it('shows all that was said of it', async () => {
    const said = {
      parent: 'default',
      limit: { compute: 28, memory: 32, cpuMilli: 64_000, memoryMiB: 500_000, models: { h100: { compute: 14 } } },
      guaranteed: { compute: 7, models: { h100: { compute: 7, memory: 8 } } },
      weight: 2.5,
      budget: { sliceHours: 500, period: 'week', kind: 'soft' },
    };

    const answer = await put('full', said);

    expect(answer.status).toBe(200);
    expect(answer.json).toMatchObject({ name: 'full', ...said });
    expect(await show('full')).toEqual(answer.json);
  });

  it('is said anew by a put, and changed in part by a post', async () => {
    await put('parts', { limit: { compute: 7, models: { h100: { compute: 3 }, a30: { compute: 4 } } }, weight: 3 });

    await change('parts', { limit: { memory: 8, models: { h100: null } }, budget: { sliceHours: 1, period: 'day', kind: 'hard' } });
    expect(await show('parts')).toMatchObject({
      limit: { compute: 7, memory: 8, models: { a30: { compute: 4 } } },
      weight: 3,
      budget: { sliceHours: 1, period: 'day', kind: 'hard' },
    });
    await change('parts', { limit: null, weight: null });
    expect(await show('parts')).toMatchObject({ limit: {}, weight: 1, budget: { sliceHours: 1 } });
    await put('parts', { weight: 4 });

    const now = await show('parts');
    expect(now).toMatchObject({ limit: {}, weight: 4 });
    expect(now).not.toHaveProperty('budget');
  });

  it('is made by a post, too, and takes work while it has children', async () => {
    await change('family', { guaranteed: { compute: 4 } });
    await put('child', { parent: 'family', guaranteed: { compute: 4 } });

    const answer = await ask('POST', '/api/v1/workloads', { body: { name: 'of-the-parent', workspace: 'family', command: ['true'] } });

    expect(answer.status).toBe(201);
    expect(await show('family')).toMatchObject({ queued: 1 });
  });

  it('outlives the controller', async () => {
    await put('kept', { parent: 'default', guaranteed: { compute: 1 }, weight: 2 });
    const before = await show('kept');

    await bench.stop(controller);
    controller = await bench.start();

    expect(await show('kept')).toEqual(before);
  });

  it.each([
    ['an unknown parent', { parent: 'nowhere' }, 404, 'not-found', '/parent', /no workspace nowhere/],
    ['itself as parent', { parent: 'top' }, 422, 'impossible-workspace', '/parent', /under itself/],
    ['a descendant as parent', { parent: 'leaf' }, 422, 'impossible-workspace', '/parent', /under itself/],
    [
      'less than is guaranteed under it',
      { guaranteed: { compute: 9 } },
      422,
      'impossible-workspace',
      '/guaranteed',
      /10 compute slices together/,
    ],
    ['none of what is guaranteed under it', { guaranteed: { memory: 9 } }, 422, 'impossible-workspace', '/guaranteed', /guaranteed 0/],
    ['a limit below what is guaranteed under it', { limit: { compute: 9 } }, 422, 'impossible-workspace', '/limit', /limit of 9/],
    [
      'more guaranteed than its limit',
      { limit: { compute: 3 }, guaranteed: { compute: 4 } },
      422,
      'impossible-workspace',
      '/guaranteed',
      /limit of 3/,
    ],
    ['no weight', { weight: 0 }, 400, 'invalid-request', '/weight', />0/],
    ['an endless budget', { budget: { sliceHours: 1, period: 'year', kind: 'hard' } }, 400, 'invalid-request', '/budget/period', /week/],
    ['a model in capitals', { limit: { models: { H100: {} } } }, 400, 'invalid-request', '/limit/models/H100', /lower case/],
    ['an unknown amount', { limit: { gpus: 1 } }, 400, 'invalid-request', '/limit', /gpus/],
  ])('is refused with %s, and stays as it was', async (_, body, status, code, pointer, detail) => {
    await put('top', { guaranteed: { compute: 10 } });
    await put('middle', { parent: 'top' });
    await put('leaf', { parent: 'middle', guaranteed: { compute: 4 } });
    await put('leaf-2', { parent: 'middle', guaranteed: { compute: 6 } });

    const answer = await put('top', body);

    expect(answer.status).toBe(status);
    expect(Problem.parse(answer.json)).toMatchObject({ code, errors: [{ pointer, detail: expect.stringMatching(detail) }] });
    expect(await show('top')).toMatchObject({ guaranteed: { compute: 10 } });
  });

  it('cannot be guaranteed more than what is above it has left, at any depth', async () => {
    await put('org', { guaranteed: { compute: 10, models: { h100: { compute: 5 } } } });
    await put('team', { parent: 'org' });
    await put('team-a', { parent: 'team', guaranteed: { compute: 6 } });

    const beyond = await put('team-b', { parent: 'team', guaranteed: { compute: 5 } });
    const ofModel = await put('team-b', { parent: 'team', guaranteed: { models: { a100: { compute: 1 } } } });
    const moved = await put('team-c', { guaranteed: { compute: 5 } });
    const movedIn = await change('team-c', { parent: 'team' });

    expect([beyond.status, ofModel.status, moved.status, movedIn.status]).toEqual([422, 422, 200, 422]);
    expect(Problem.parse(beyond.json).detail).toBe(
      'the workspaces under org would be guaranteed 11 compute slices together, and it is guaranteed 10',
    );
    expect((await put('team-b', { parent: 'team', guaranteed: { compute: 4, models: { h100: { compute: 5 } } } })).status).toBe(200);
  });

  it.each([
    ['PUT', { limit: { compute: 3 }, guaranteed: { compute: 2 } }, { limit: { compute: 3 }, guaranteed: { compute: 2 }, weight: 1 }],
    ['POST', { guaranteed: { compute: 2 } }, { limit: { memory: 4 }, guaranteed: { compute: 2 }, weight: 5 }],
  ])('is shown by a dry run (%s) as it would be, with what that would do, and stays as it was', async (method, body, shown) => {
    await put('tried', { limit: { memory: 4 }, weight: 5 });
    await ask('POST', '/api/v1/workloads', {
      body: { name: `of-${method.toLowerCase()}`, workspace: 'tried', command: ['true'], gpus: 1 },
    });
    const before = await Promise.all(['tried', 'default'].map(show));

    const answer = await ask(method, '/api/v1/workspaces/tried?dryRun=true', { body });

    expect(answer.status).toBe(200);
    const { preview, ...tried } = WorkspaceSet.parse(answer.json);
    expect(tried).toMatchObject({ name: 'tried', ...shown });
    // No node has joined, so any guarantee is more than there is.
    expect(preview).toMatchObject({
      sentence: expect.stringMatching(/^all guarantees together would be [\d.]+ compute slices, and there are 0 compute slices\.$/),
      stopped: { count: 0, items: [] },
      overCommitted: { count: 1, items: [{ kind: 'guarantees', dimension: { resource: 'compute' }, bound: 0 }] },
    });
    expect(await Promise.all(['tried', 'default'].map(show))).toEqual(before);
  });

  it('is not made by a dry run, and a dry run is refused what the change is refused', async () => {
    const answer = await ask('PUT', '/api/v1/workspaces/imagined?dryRun=true', { body: { weight: 2 } });
    const impossible = await ask('PUT', '/api/v1/workspaces/imagined?dryRun=true', { body: { parent: 'imagined' } });
    const real = await ask('PUT', '/api/v1/workspaces/default?dryRun=false', { body: {} });

    expect(answer.json).toMatchObject({
      name: 'imagined',
      weight: 2,
      preview: { sentence: 'Nothing that runs or waits now would fare otherwise.' },
    });
    expect([impossible.status, Problem.parse(impossible.json).code]).toEqual([404, 'not-found']);
    expect(real.json).not.toHaveProperty('preview');
    expect((await ask('GET', '/api/v1/workspaces/imagined')).status).toBe(404);
  });

  it('that is not there is not found', async () => {
    expect((await ask('GET', '/api/v1/workspaces/nowhere')).status).toBe(404);
  });
});
