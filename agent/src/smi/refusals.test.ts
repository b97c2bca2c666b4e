import { describe, expect, it } from 'vitest';
import { DriverFault } from '../app/ports.ts';
import { Refusals } from './refusals.ts';

const fault = new DriverFault('failed', { command: ['mig', '-lgi'] });

function bench(): { readonly refusals: Refusals; readonly pass: (ms: number) => void } {
  let nowMs = 0;
  const clock = { nowMs: () => nowMs, elapsedMs: () => nowMs, sleep: () => Promise.resolve() };
  return {
    refusals: new Refusals(clock),
    pass: (ms) => {
      nowMs += ms;
    },
  };
}

describe('a question that is refused', () => {
  it('is asked less and less, whichever GPU it is about, and never given up', () => {
    const { refusals, pass } = bench();
    const rests: number[] = [];
    for (let round = 0; round < 8; round += 1) {
      refusals.note(['mig', '-i', `GPU-${round}`, '-lgi'], fault);
      let restMs = 0;
      for (; refusals.known(['mig', '-lgi']) !== undefined; restMs += 1000) pass(1000);
      rests.push(restMs / 1000);
      pass(1000);
    }
    expect(rests).toEqual([0, 0, 30, 60, 120, 240, 300, 300]);
    expect(refusals.known(['mig', '-lci'])).toBeUndefined();
  });

  it('by many GPUs at one moment is refused once', () => {
    const { refusals } = bench();
    for (let gpu = 0; gpu < 8; gpu += 1) refusals.note(['-i', String(gpu), '-q'], fault);
    expect(refusals.known(['-q'])).toBeUndefined();
    expect(refusals.isExpected(['-q'])).toBe(true);
  });

  it('is always asked once it was answered', () => {
    const { refusals, pass } = bench();
    refusals.note(['-q'], fault);
    refusals.answered(['-i', '3', '-q']);
    for (let round = 0; round < 8; round += 1) {
      refusals.note(['-q'], fault);
      pass(1000);
    }
    expect(refusals.known(['-q'])).toBeUndefined();
    expect(refusals.isExpected(['-q'])).toBe(false);
  });
});
