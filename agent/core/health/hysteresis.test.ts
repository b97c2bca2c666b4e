import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Finding, look, notFound, type Patience, type Verdict } from './hysteresis.ts';

const patience = fc.record({
  raiseAfterMs: fc.integer({ min: 0, max: 100 }),
  raiseAfterLooks: fc.integer({ min: 1, max: 5 }),
  clearAfterMs: fc.integer({ min: 0, max: 100 }),
});

interface Seen {
  readonly verdict: Verdict;
  readonly atMs: number;
}

const looks = fc
  .array(fc.record({ verdict: fc.constantFrom<Verdict>('present', 'absent', 'unknown'), gapMs: fc.integer({ min: 0, max: 40 }) }), {
    maxLength: 80,
  })
  .map((steps) => {
    let atMs = 0;
    return steps.map(({ verdict, gapMs }): Seen => {
      atMs += gapMs;
      return { verdict, atMs };
    });
  });

/** Whether it was raised after each look. */
function follow(seen: readonly Seen[], times: Patience, from: Finding = notFound): readonly boolean[] {
  let finding = from;
  return seen.map(({ verdict, atMs }) => {
    finding = look(finding, verdict, atMs, times);
    return finding.raised;
  });
}

describe('a finding', () => {
  it('never changes faster than its times, nor on fewer looks than it needs', () => {
    fc.assert(
      fc.property(looks, patience, (seen, times) => {
        const raised = follow(seen, times);
        let changedAt = -1;
        for (const [index, now] of raised.entries()) {
          if (now === (raised[index - 1] ?? false)) continue;
          const run = seen.slice(changedAt + 1, index + 1);
          const wanted = now ? 'present' : 'absent';
          // The looks that led here, back to the last one that said otherwise.
          const from = run.findLastIndex(({ verdict }) => verdict !== wanted && verdict !== 'unknown') + 1;
          const agreeing = run.slice(from).filter(({ verdict }) => verdict === wanted);
          const heldMs = (seen[index]?.atMs ?? 0) - (agreeing[0]?.atMs ?? 0);
          expect(heldMs).toBeGreaterThanOrEqual(now ? times.raiseAfterMs : times.clearAfterMs);
          if (now) expect(agreeing.length).toBeGreaterThanOrEqual(times.raiseAfterLooks);
          changedAt = index;
        }
      }),
    );
  });

  it('always clears once its cause is gone for long enough, and always is raised by one that lasts', () => {
    fc.assert(
      fc.property(looks, patience, fc.constantFrom<Verdict>('present', 'absent'), (seen, times, verdict) => {
        const startMs = seen.at(-1)?.atMs ?? 0;
        const steady = Array.from({ length: 12 }, (_, index): Seen => ({ verdict, atMs: startMs + 1 + index * 20 }));
        expect(follow([...seen, ...steady], times).at(-1)).toBe(verdict === 'present');
      }),
    );
  });

  it('is moved by nothing that is unknown', () => {
    fc.assert(
      fc.property(looks, patience, (seen, times) => {
        const doubts = seen.map(({ atMs }): Seen => ({ verdict: 'unknown', atMs }));
        expect(follow(doubts, times)).not.toContain(true);
        const raised: Finding = { raised: true, turn: undefined };
        expect(follow(doubts, times, raised)).not.toContain(false);
      }),
    );
  });

  it('does not count the time in which nothing was known', () => {
    const times = { raiseAfterMs: 100, raiseAfterLooks: 1, clearAfterMs: 0 };
    const seen: readonly Seen[] = [
      { verdict: 'present', atMs: 0 },
      { verdict: 'unknown', atMs: 10 },
      { verdict: 'present', atMs: 1000 },
      { verdict: 'present', atMs: 1099 },
      { verdict: 'present', atMs: 1100 },
    ];
    expect(follow(seen, times)).toEqual([false, false, false, false, true]);
  });
});
