import { type GpuUuid, parseGpuUuid } from '@astrago/shared/domain/ids';
import { systemClock } from '@astrago/shared/runtime/clock';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Claim, Lanes } from './lanes.ts';

const gpus = ['a', 'b', 'c'].map((letter): GpuUuid => {
  const uuid = parseGpuUuid(`GPU-${letter.repeat(8)}-0000-0000-0000-000000000000`);
  if (uuid === undefined) throw new Error(letter);
  return uuid;
});
const never = new Promise<void>(() => undefined);
const anyClaim: fc.Arbitrary<Claim> = fc
  .record({ gpu: fc.constantFrom<GpuUuid | 'all'>(...gpus, 'all'), manner: fc.constantFrom('look', 'change', 'alone') })
  // Only looks are about all GPUs.
  .map((claim) => (claim.gpu === 'all' ? { ...claim, manner: 'look' } : claim));

function meet(a: Claim, b: Claim): boolean {
  return a.gpu === 'all' || b.gpu === 'all' || a.gpu === b.gpu;
}

describe('lanes', () => {
  it('never hold two that must not run beside each other, keep nobody for ever, and never start one on a hung GPU', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ claim: anyClaim, end: fc.constantFrom('leave', 'leave', 'leave', 'hang', 'abort') }), { maxLength: 12 }),
        async (wishes) => {
          const lanes = new Lanes({ clock: systemClock, patienceMs: 60_000 });
          const running = new Set<Claim>();
          const hung: Claim[] = [];
          let answered = 0;
          await Promise.all(
            wishes.map(async ({ claim, end }) => {
              const stop = new AbortController();
              const entry = lanes.enter(claim, stop.signal);
              if (end === 'abort')
                setImmediate(() => {
                  stop.abort();
                });
              const answer = await entry.catch(() => 'aborted');
              answered += 1;
              if (answer !== 'entered') return;
              expect(hung.some((other) => (claim.gpu === 'all' ? true : other.gpu === claim.gpu))).toBe(false);
              for (const other of running) {
                expect(claim.manner === 'alone' || other.manner === 'alone').toBe(false);
                if (!meet(claim, other)) continue;
                expect(claim.manner === 'change' && other.manner === 'change').toBe(false);
              }
              running.add(claim);
              await new Promise((resolve) => {
                setImmediate(resolve);
              });
              running.delete(claim);
              if (end === 'hang') {
                hung.push(claim);
                lanes.abandon(claim, never);
              } else {
                lanes.leave(claim);
              }
            }),
          );
          expect(answered).toBe(wishes.length);
          expect(lanes.hungCount).toBe(hung.length);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('let changes of different GPUs run at once', async () => {
    const lanes = new Lanes({ clock: systemClock, patienceMs: 60_000 });
    const signal = new AbortController().signal;

    expect(await Promise.all(gpus.map((gpu) => lanes.enter({ gpu, manner: 'change' }, signal)))).toEqual(['entered', 'entered', 'entered']);
  });

  it('wait for another GPU only so long, for their own as long as it takes', async () => {
    const lanes = new Lanes({ clock: systemClock, patienceMs: 20 });
    const signal = new AbortController().signal;
    const [one, two] = gpus;
    if (one === undefined || two === undefined) throw new Error('no GPUs');
    const order: string[] = [];
    const reset: Claim = { gpu: one, manner: 'alone' };
    await lanes.enter(reset, signal);
    const waits = [
      lanes.enter({ gpu: one, manner: 'look' }, signal).then(() => {
        order.push('own');
      }),
      lanes.enter({ gpu: two, manner: 'look' }, signal).then(() => {
        order.push('other');
      }),
    ];

    await waits[1];
    expect(order).toEqual(['other']);
    lanes.leave(reset);
    await Promise.all(waits);

    expect(order).toEqual(['other', 'own']);
  });

  it('do not let a stream of looks starve one that wants to be alone', async () => {
    const lanes = new Lanes({ clock: systemClock, patienceMs: 60_000 });
    const signal = new AbortController().signal;
    const [gpu] = gpus;
    if (gpu === undefined) throw new Error('no GPU');
    const order: string[] = [];
    const first: Claim = { gpu: 'all', manner: 'look' };
    const alone: Claim = { gpu, manner: 'alone' };
    await lanes.enter(first, signal);
    const waits = [
      lanes.enter(alone, signal).then(() => {
        order.push('alone');
        lanes.leave(alone);
      }),
      lanes.enter({ gpu: 'all', manner: 'look' }, signal).then(() => {
        order.push('look');
      }),
    ];

    lanes.leave(first);
    await Promise.all(waits);

    expect(order).toEqual(['alone', 'look']);
  });
});
