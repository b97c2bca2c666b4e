import { appendFileSync, chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { parseGpuUuid } from '@astrago/shared/domain/ids';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Order } from '#core/order';
import { Scratch } from '../testing/scratch.ts';
import { FileLedger } from './file-ledger.ts';

let scratch: Scratch;
let ledger: FileLedger;
const open = async (): Promise<FileLedger> => FileLedger.open(scratch.path('ledger'), 'boot', () => 1);
const reopen = async (): Promise<void> => {
  await ledger[Symbol.asyncDispose]();
  ledger = await open();
};
const gpu = parseGpuUuid('GPU-00000000-0000-0000-0000-000000000001') as never;
const order = (generation: number): Order => ({ epoch: 1, generation, gpus: [{ uuid: gpu, layout: { kind: 'whole' } }], allocations: [] });
const steps = (): string[] => readFileSync(scratch.path('ledger', 'steps.jsonl'), 'utf8').trim().split('\n');

beforeEach(async () => {
  scratch = new Scratch();
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

  it('ignores what a crash left half written', async () => {
    await ledger.putOrder(order(1));
    await ledger.intent(gpu, 'create 1g.10gb@0');
    writeFileSync(scratch.path('ledger', 'order.json.1-1.new'), '{"epoch":1,"gener');
    appendFileSync(scratch.path('ledger', 'steps.jsonl'), '{"gpu":"GPU-0');

    await reopen();
    await ledger.outcome(gpu, 'create 1g.10gb@0', 'done');

    expect(ledger.order).toEqual(order(1));
    const lines = steps();
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ step: 'create 1g.10gb@0', intent: true, boot: 'boot' });
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ result: 'done' });
  });

  it('says which file it cannot read instead of starting without its order', async () => {
    await ledger.putOrder(order(1));
    writeFileSync(scratch.path('ledger', 'order.json'), 'garbage');

    await expect(open()).rejects.toThrow(/order\.json cannot be read/);
    chmodSync(scratch.path('ledger', 'order.json'), 0o600);
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
