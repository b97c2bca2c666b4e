import { Gang, Problem, Workload } from '@astrago/api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunningController } from '../controller-process.ts';
import { type Answer, type Ask, ControllerBench } from '../testing/controller-bench.ts';

const command = ['true'];
const workloads = '/api/v1/workloads';
const gangs = '/api/v1/gangs';

let bench: ControllerBench;
let controller: RunningController;

beforeAll(async () => {
  bench = new ControllerBench();
  controller = await bench.start();
});
afterAll(() => bench[Symbol.asyncDispose]());

const ask = (method: string, path: string, more: Ask = {}): Promise<Answer> => bench.ask(controller, method, path, more);
const submit = (body: object, more: Ask = {}): Promise<Answer> => ask('POST', workloads, { body, ...more });
const submitGang = (body: object, more: Ask = {}): Promise<Answer> => ask('POST', gangs, { body, ...more });
const names = (answer: Answer): readonly string[] => Gang.parse(answer.json).items.map((member) => member.name);

describe('an ask', () => {
  it.each([
    ['several-slices', { slice: '1g.10gb', count: 3 }, { enforcement: 'hardware' }],
    ['at-least', { atLeast: { memoryMiB: 19_000, computeSlices: 2, count: 2 } }, { enforcement: 'hardware' }],
    ['mps-share', { share: { by: 'mps', milli: 300, memoryMiB: 10_240 } }, { enforcement: 'driver' }],
    ['turns', { share: { by: 'time-slicing', milli: 500 } }, { enforcement: 'advisory' }],
    ['no-gpu', {}, { enforcement: 'none' }],
  ])('is shown as it was made, with what will keep it to its part: %s', async (name, asked, shown) => {
    const answer = await submit({ name, command, ...asked });

    expect(answer.status).toBe(201);
    expect(answer.json).toMatchObject({ name, ...asked, ...shown });
    expect((await ask('GET', `${workloads}/${name}`)).json).toMatchObject({ ...asked, ...shown });
  });

  it('is of one slice of each kind, shared by MPS and required, where that is not said', async () => {
    const least = await submit({ name: 'least-default', command, atLeast: { memoryMiB: 1 } });
    const share = await submit({ name: 'share-default', command, share: { milli: 1 }, constraints: { together: [{ level: 'numa' }] } });

    expect(least.json).toMatchObject({ atLeast: { memoryMiB: 1, computeSlices: 1, count: 1 } });
    expect(share.json).toMatchObject({ share: { by: 'mps', milli: 1 }, constraints: { together: [{ level: 'numa', required: true }] } });
  });

  it('keeps what it says of where, how long, and what may be done to it', async () => {
    const said = {
      constraints: {
        nodeLabels: { rack: 'r1' },
        tolerations: ['spot', 'team=a'],
        together: [
          { level: 'nvlink', required: true },
          { level: 'rack', required: false },
        ],
      },
      expectedSeconds: 9000,
      interruptible: 'checkpoint',
    };
    await submit({ name: 'particular', command, gpus: 2, ...said });

    const shown = (await ask('GET', `${workloads}/particular`)).json;
    expect(shown).toMatchObject(said);
    // It does not run yet, so nobody knows when it will end.
    expect(Workload.parse(shown).expectedEndMs).toBeUndefined();
  });

  it.each([
    ['a share and GPUs together', { share: { milli: 5 }, gpus: 1 }, '/share', /share or gpus, not both/],
    ['three at once', { slice: '1g.10gb', share: { milli: 5 }, gpus: 1 }, '/slice', /slice or share or gpus, not all/],
    ['a count of nothing', { count: 2 }, '/count', /give slice/],
    ['a whole GPU as a share', { share: { milli: 1000 } }, '/share/milli', /999/],
    ['nothing as a share', { share: { milli: 0 } }, '/share/milli', /1/],
    ['another way to share', { share: { by: 'hope', milli: 5 } }, '/share/by', /mps/],
    ['at least nothing', { atLeast: { memoryMiB: 0 } }, '/atLeast/memoryMiB', /1/],
    ['no slice', { slice: '1g.10gb', count: 0 }, '/count', /1/],
    ['an unreadable label', { constraints: { nodeLabels: { 'r ack': 'x' } } }, '/constraints/nodeLabels/r ack', /a key is letters/],
    ['an unreadable toleration', { constraints: { tolerations: ['a=b=c'] } }, '/constraints/tolerations/0', /key=value/],
    ['a level twice', { constraints: { together: [{ level: 'a' }, { level: 'a' }] } }, '/constraints/together/1/level', /twice/],
    ['company to keep apart from', { constraints: { apart: { level: 'node' } } }, '/constraints/apart', /gang/],
    ['no time', { expectedSeconds: 0 }, '/expectedSeconds', /1/],
    ['another mercy', { interruptible: 'gently' }, '/interruptible', /restart/],
    ['members of one', { members: { count: 2 } }, '/', /members/],
  ])('for %s is refused where it says so', async (_, asked, pointer, detail) => {
    const answer = await submit({ name: 'refused', command, ...asked });

    expect(answer.status).toBe(400);
    expect(Problem.parse(answer.json).errors).toEqual([{ pointer, detail: expect.stringMatching(detail) }]);
    expect((await ask('GET', `${workloads}/refused`)).status).toBe(404);
  });
});

describe('a gang', () => {
  it('is accepted whole, each member with its number', async () => {
    const answer = await submitGang({ name: 'four', command, gpus: 1, members: { count: 4, least: 3 } });

    expect(answer.status).toBe(201);
    expect(answer.json).toMatchObject({ name: 'four', workspace: 'default', least: 3, members: 4 });
    expect(names(answer)).toEqual(['four-0', 'four-1', 'four-2', 'four-3']);
    expect(Gang.parse(answer.json).items[2]).toMatchObject({ phase: 'queued', gpus: 1, gang: { name: 'four', least: 3, members: 4 } });
    expect(names(await ask('GET', `${gangs}/four`))).toEqual(names(answer));
    expect((await ask('GET', `${workloads}/four-3`)).json).toMatchObject({ name: 'four-3' });
  });

  it('starts whole where nothing else is said, and its members can be kept apart', async () => {
    const constraints = { apart: { level: 'node', required: true } };
    const answer = await submitGang({ name: 'spread', command, members: { count: 2 }, constraints });

    expect(answer.json).toMatchObject({ least: 2, members: 2 });
    expect(Gang.parse(answer.json).items[1]?.constraints).toEqual(constraints);
  });

  it('is the same for the same key and request, also at once, and the key of no other request', async () => {
    const body = { name: 'once-gang', command, members: { count: 3 } };
    const atOnce = await Promise.all(Array.from({ length: 4 }, () => submitGang(body, { key: 'key-gang' })));
    await ask('POST', `${gangs}/once-gang/stop`);
    const later = await submitGang(body, { key: 'key-gang' });
    const others = [
      await submitGang({ ...body, members: { count: 2 } }, { key: 'key-gang' }),
      await submit({ name: 'once-gang', command }, { key: 'key-gang' }),
    ];

    expect([...atOnce, later].map(({ status }) => status)).toEqual([201, 201, 201, 201, 201]);
    const ids = [...atOnce, later].map((answer) => Gang.parse(answer.json).items.map(({ id }) => id));
    expect(new Set(ids.map(String)).size).toBe(1);
    expect(ids[0]).toHaveLength(3);
    expect(others.map((answer) => Problem.parse(answer.json).code)).toEqual(['idempotency-conflict', 'idempotency-conflict']);
  });

  it('is not accepted in part when the name of one member is taken', async () => {
    await submit({ name: 'partly-2', command });

    const answer = await submitGang({ name: 'partly', command, members: { count: 4 } });

    expect(Problem.parse(answer.json)).toMatchObject({ code: 'name-taken', detail: expect.stringContaining('partly-2') });
    expect((await ask('GET', `${workloads}/partly-0`)).status).toBe(404);
  });

  it('keeps its names until the last member has ended', async () => {
    await submitGang({ name: 'names', command, members: { count: 2 } });
    await ask('POST', `${workloads}/names-0/stop`);

    const taken = [
      await submit({ name: 'names', command }),
      await submit({ name: 'names-0', command }),
      await submitGang({ name: 'names', command, members: { count: 9 } }),
    ];
    const beside = await submit({ name: 'names-2', command });
    await ask('POST', `${workloads}/names-1/stop`);
    const later = await submit({ name: 'names', command });

    expect(taken.map((answer) => Problem.parse(answer.json).code)).toEqual(['name-taken', 'name-taken', 'name-taken']);
    expect([beside.status, later.status]).toEqual([201, 201]);
  });

  it('is stopped whole, and then has ended', async () => {
    await submitGang({ name: 'stopped-gang', command, members: { count: 3 } });
    await ask('POST', `${workloads}/stopped-gang-1/stop`);

    const stopped = await ask('POST', `${gangs}/stopped-gang/stop`);
    const again = await ask('POST', `${gangs}/stopped-gang/stop`);

    expect(Gang.parse(stopped.json).items.map(({ phase }) => phase)).toEqual(['cancelled', 'cancelled', 'cancelled']);
    expect(Problem.parse(again.json).code).toBe('already-ended');
  });

  it('is the newest of its name, and never mixed with an earlier one', async () => {
    await submitGang({ name: 'again', command, members: { count: 3 } });
    await ask('POST', `${gangs}/again/stop`);
    await submitGang({ name: 'again', command, members: { count: 2 } });

    const found = Gang.parse((await ask('GET', `${gangs}/again`)).json);

    expect(found.items.map(({ name, phase }) => [name, phase])).toEqual([
      ['again-0', 'queued'],
      ['again-1', 'queued'],
    ]);
  });

  it('is named as one by whoever asks for a workload of its name', async () => {
    await submit({ name: 'both', command });
    await ask('POST', `${workloads}/both/stop`);
    await submitGang({ name: 'both', command, members: { count: 2 } });

    const answer = await ask('POST', `${workloads}/both/stop`);

    expect(answer.status).toBe(404);
    expect(Problem.parse(answer.json).detail).toContain('both is a gang: name one of its members, both-0 to both-1');
  });

  it.each([
    ['more that start than there are', { members: { count: 2, least: 3 } }, '/members/least', /only 2/],
    [
      'more of command and environment than is kept',
      { members: { count: 1024 }, environment: { LARGE: 'x'.repeat(70_000) } },
      '/members/count',
      /64 MiB/,
    ],
    ['no members', { members: { count: 0 } }, '/members/count', /1/],
    ['a name that leaves no room for numbers', { name: 'a'.repeat(62), members: { count: 2 } }, '/name', /63/],
    [
      'members together and apart',
      { members: { count: 2 }, constraints: { together: [{ level: 'node' }], apart: { level: 'node' } } },
      '/constraints/together/0/level',
      /both together and apart/,
    ],
    [
      'members apart in one node',
      { members: { count: 2 }, constraints: { apart: { level: 'nvlink' } } },
      '/constraints/apart/level',
      /node/,
    ],
  ])('with %s is refused where it says so', async (_, asked, pointer, detail) => {
    const answer = await submitGang({ name: 'refused', command, ...asked });

    expect(Problem.parse(answer.json).errors).toEqual([{ pointer, detail: expect.stringMatching(detail) }]);
  });

  it.each(['GET', 'POST'])('that is not there is not found (%s)', async (method) => {
    const answer = await ask(method, `${gangs}/nothing${method === 'POST' ? '/stop' : ''}`);

    expect(Problem.parse(answer.json).code).toBe('not-found');
  });
});
