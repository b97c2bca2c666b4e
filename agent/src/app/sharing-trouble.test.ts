import { describe, expect, it } from 'vitest';
import { SharingTrouble } from './sharing-trouble.ts';

/** A clock that is set by hand. */
function bench(): { readonly trouble: SharingTrouble; pass(ms: number): void } {
  let nowMs = 0;
  const trouble = new SharingTrouble({ nowMs: () => nowMs, elapsedMs: () => nowMs, sleep: async () => undefined });
  return {
    trouble,
    pass: (ms) => {
      nowMs += ms;
    },
  };
}

describe('a daemon that dies', () => {
  it('is started at once, then later each time, at most a minute', () => {
    const { trouble, pass } = bench();
    const rests = Array.from({ length: 9 }, () => {
      trouble.died();
      const { restsMs } = trouble;
      pass(restsMs);
      return restsMs;
    });

    expect(rests).toEqual([0, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
  });

  it('is a finding from the third time on, until it has been well for a minute', () => {
    const { trouble, pass } = bench();
    for (const found of [undefined, undefined, expect.stringContaining('has died 3 times within 5 minutes')]) {
      trouble.died();
      trouble.well();
      expect(trouble.finding).toEqual(found);
      pass(1000);
    }
    pass(58_000);
    trouble.well();
    expect(trouble.finding).toBeDefined();
    pass(1000);
    trouble.well();
    expect(trouble.finding).toBeUndefined();
  });

  it('is none when it dies now and then', () => {
    const { trouble, pass } = bench();
    for (let death = 0; death < 5; death += 1) {
      trouble.died();
      pass(160_000);
    }

    expect(trouble.finding).toBeUndefined();
  });
});

describe('a step that fails', () => {
  it('is left alone for a while, and nothing else is', () => {
    const { trouble, pass } = bench();
    trouble.failed('start-mps', 'no', false);

    expect([trouble.rests('start-mps'), trouble.rests('stop-mps'), trouble.failure]).toEqual([true, false, undefined]);
    pass(1000);
    expect(trouble.rests('start-mps')).toBe(false);
  });

  it('is given up the third time, or at once where it will never do, until somebody new waits', () => {
    for (const tries of [[false, false, false], [true]]) {
      const { trouble } = bench();
      for (const hopeless of tries) trouble.failed('start-mps', 'not here', hopeless);

      expect([trouble.failure, trouble.restsMs]).toEqual(['not here', 60_000]);
      trouble.tryAgain();
      expect(trouble.rests('start-mps')).toBe(false);
      trouble.well();
      expect(trouble.failure).toBeUndefined();
    }
  });
});
