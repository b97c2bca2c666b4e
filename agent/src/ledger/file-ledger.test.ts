import { appendFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { parseGpuUuid } from '@astrago/shared/domain/ids';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { emptyOrder, type Order } from '#core/order';
import { Scratch } from '../testing/scratch.ts';
import { until } from '../testing/until.ts';
import { FileLedger } from './file-ledger.ts';

let scratch: Scratch;
let ledger: FileLedger;
let told: (readonly [string, string | undefined])[] = [];
let boot = 'boot';
let nowMs = 1;
const open = async (): Promise<FileLedger> =>
  FileLedger.open({
    directory: scratch.path('ledger'),
    bootId: boot,
    nowMs: () => nowMs,
    // Its end is told with every order; only a change is news.
    tell: (kind, detail) => {
      if (detail !== undefined || told.some(([known]) => known === kind)) told.push([kind, detail]);
    },
  });
const reopen = async (): Promise<void> => {
  await ledger[Symbol.asyncDispose]();
  ledger = await open();
};
const gpu = parseGpuUuid('GPU-00000000-0000-0000-0000-000000000001') as never;
const order = (generation: number): Order => ({ epoch: 1, generation, gpus: [{ uuid: gpu, layout: { kind: 'whole' } }], allocations: [] });
const steps = (): string[] => readFileSync(scratch.path('ledger', 'steps.jsonl'), 'utf8').trim().split('\n');

beforeEach(async () => {
  scratch = new Scratch();
  told = [];
  boot = 'boot';
  ledger = await open();
});
afterEach(async () => {
  await ledger[Symbol.asyncDispose]().catch(() => undefined);
  await scratch[Symbol.asyncDispose]();
});

describe('the ledger', () => {
  it('holds the last order and every verdict across a restart', async () => {
    await ledger.putOrder(order(1));
    await ledger.putOrder(order(2));
    await ledger.putVerdict('alloc_a', { kind: 'failed', failure: 'never-started', detail: 'x' });
    await ledger.putVerdict('alloc_b', { kind: 'failed', failure: 'process-lost', detail: 'y' });
    await ledger.forget('alloc_a');

    await reopen();

    expect(ledger.order).toEqual(order(2));
    expect(ledger.verdict('alloc_a')).toBeUndefined();
    expect(ledger.verdict('alloc_b')).toMatchObject({ failure: 'process-lost' });
  });

  it('keeps the old order when the new one cannot be written', async () => {
    await ledger.putOrder(order(1));
    rmSync(scratch.path('ledger'), { recursive: true });
    writeFileSync(scratch.path('ledger'), 'in the way');

    await expect(ledger.putOrder(order(2))).rejects.toThrow();

    expect(ledger.order).toEqual(order(1));
    rmSync(scratch.path('ledger'));
    mkdirSync(scratch.path('ledger'));
    await ledger.putOrder(order(3));
    await reopen();
    expect(ledger.order).toEqual(order(3));
  });

  it('cuts the torn tail that a crash left, and forgets drafts', async () => {
    await ledger.putOrder(order(1));
    await ledger.intent(gpu, 'create 1g.10gb@0');
    await ledger.outcome(gpu, 'create 1g.10gb@0', 'done');
    const whole = steps();
    writeFileSync(scratch.path('ledger', 'order.json.1-1.new'), '{"epoch":1,"gener');
    appendFileSync(scratch.path('ledger', 'steps.jsonl'), '{"gpu":"GPU-0');

    await reopen();
    await ledger.outcome(gpu, 'create 1g.10gb@0', 'again');

    expect(ledger.order).toEqual(order(1));
    expect(steps().slice(0, 2)).toEqual(whole);
    expect(JSON.parse(steps()[2] ?? '')).toMatchObject({ result: 'again' });
    expect(readdirSync(scratch.path('ledger')).sort()).toEqual(['order.json', 'steps.jsonl']);
    expect(told).toEqual([]);
  });

  it('gives an intent whose agent was ended its outcome, once', async () => {
    await ledger.intent(gpu, 'create 1g.10gb@0');

    await reopen();
    await reopen();
    boot = 'another boot';
    await ledger.intent(gpu, 'reset');
    await reopen();

    expect(steps().map((line) => (JSON.parse(line) as { result?: string }).result)).toEqual([
      undefined,
      'not known: the agent was ended in the middle',
      undefined,
      'void: the node was rebooted',
    ]);
  });

  it.each(['order.json', 'verdicts.json', 'steps.jsonl'])('sets a damaged %s aside, says so, and goes on', async (name) => {
    await ledger.putOrder(order(1));
    await ledger.putVerdict('alloc_a', { kind: 'failed', failure: 'never-started', detail: 'x' });
    for (const step of ['a', 'b', 'c']) await ledger.intent(gpu, step);
    const before = readFileSync(scratch.path('ledger', name), 'utf8');
    writeFileSync(scratch.path('ledger', name), before.replace(/[a-z]/, 'Z'));

    await reopen();

    expect(told).toEqual([['ledger-set-aside', expect.stringContaining(`${name}.damaged-`)]]);
    expect(ledger.order).toEqual(name === 'order.json' ? emptyOrder : order(1));
    expect(ledger.verdict('alloc_a') === undefined).toBe(name === 'verdicts.json');
    await ledger.putOrder(order(2));
    expect(told.at(-1)).toEqual(['ledger-set-aside', undefined]);
    await ledger.intent(gpu, 'd');
    await reopen();
    expect(ledger.order).toEqual(order(2));
  });

  it('keeps no more than three damaged files of a kind', async () => {
    for (let round = 0; round < 6; round += 1) {
      nowMs += 1000;
      writeFileSync(scratch.path('ledger', 'order.json'), `garbage ${round}`);
      await reopen();
    }
    const kept = readdirSync(scratch.path('ledger')).filter((name) => name.startsWith('order.json.damaged'));
    expect(kept.sort().map((name) => readFileSync(scratch.path('ledger', name), 'utf8'))).toEqual(['garbage 3', 'garbage 4', 'garbage 5']);
  });

  it('never reads another order than one that was put, whatever happens to a byte', async () => {
    await ledger.putOrder(order(7));
    const file = scratch.path('ledger', 'order.json');
    const whole = readFileSync(file);
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), fc.boolean(), async (at, flip, cut) => {
        const spoilt = cut ? whole.subarray(0, at) : Buffer.from(whole);
        if (!cut) spoilt[at] = (spoilt[at] ?? 0) ^ flip;
        writeFileSync(file, spoilt);
        await reopen();
        expect([order(7), emptyOrder]).toContainEqual(ledger.order);
      }),
      { numRuns: 60 },
    );
  });

  it('keeps every whole line before a cut, and what follows stays readable', async () => {
    for (const step of ['a', 'b', 'c']) await ledger.outcome(gpu, step, 'done');
    const file = scratch.path('ledger', 'steps.jsonl');
    const whole = readFileSync(file);
    const ends = [...whole.entries()].filter(([, byte]) => byte === 0x0a).map(([at]) => at + 1);
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length), async (at) => {
        writeFileSync(file, whole.subarray(0, at));
        await reopen();
        await ledger.outcome(gpu, 'later', 'done');
        const names = steps().map((line) => (JSON.parse(line) as { step: string }).step);
        expect(names).toEqual([...['a', 'b', 'c'].slice(0, ends.filter((end) => end <= at).length), 'later']);
      }),
      { numRuns: 60 },
    );
    expect(told).toEqual([]);
  });

  it('tells when it cannot write, keeps the old state, and sees by itself that it can again', async () => {
    await ledger.putOrder(order(1));
    rmSync(scratch.path('ledger'), { recursive: true });
    await expect(ledger.putVerdict('alloc_a', { kind: 'failed', failure: 'never-started', detail: 'x' })).rejects.toThrow();

    expect(ledger.verdict('alloc_a')).toBeUndefined();
    await until(() => told.length === 1, 'the trouble is told');
    await ledger.probe();
    mkdirSync(scratch.path('ledger'));
    await ledger.probe();
    expect(told.map(([kind, detail]) => [kind, detail !== undefined])).toEqual([
      ['disk-full', true],
      ['disk-full', true],
      ['disk-full', false],
    ]);
  });

  it('writes in the order it was asked', async () => {
    await Promise.all([
      ledger.putOrder(order(1)),
      ledger.putOrder(order(2)),
      ...Array.from({ length: 20 }, (_, step) => ledger.intent(gpu, `step ${step}`)),
      ledger.putOrder(order(3)),
    ]);

    expect(ledger.order.generation).toBe(3);
    expect(steps().map((line) => (JSON.parse(line) as { step: string }).step)).toEqual(
      Array.from({ length: 20 }, (_, step) => `step ${step}`),
    );
  });
});
