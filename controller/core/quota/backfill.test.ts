import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mayBackfill, reserve } from './backfill.ts';
import { RuntimeEstimates } from './runtime-estimates.ts';

describe('a reservation', () => {
  it('is for when enough has ended, and is never moved by what may be started beside it', () => {
    fc.assert(
      fc.property(
        fc.nat(8),
        fc.array(fc.record({ atMs: fc.integer({ min: 1, max: 50 }), units: fc.integer({ min: 1, max: 8 }) })),
        fc.integer({ min: 1, max: 40 }),
        fc.record({ units: fc.integer({ min: 1, max: 8 }), atMs: fc.integer({ min: 1, max: 60 }) }),
        (free, ends, units, other) => {
          const reservation = reserve({ nowMs: 0, free, ends }, units);
          const freeAt = (atMs: number): number => free + ends.reduce((sum, end) => sum + (end.atMs <= atMs ? end.units : 0), 0);
          if (reservation === undefined) {
            expect(freeAt(Number.POSITIVE_INFINITY)).toBeLessThan(units);
            return;
          }
          expect(freeAt(reservation.atMs)).toBeGreaterThanOrEqual(units);
          if (reservation.atMs > 0) expect(freeAt(reservation.atMs - 1)).toBeLessThan(units);
          if (other.units > free || reservation.atMs === 0 || !mayBackfill(reservation, other.units, other.atMs)) return;
          const after = reserve({ nowMs: 0, free: free - other.units, ends: [...ends, other] }, units);
          expect(after?.atMs).toBeLessThanOrEqual(reservation.atMs);
        },
      ),
    );
  });
});

describe('an estimate', () => {
  it('is what work of the workspace and size ran on after as long, and falls back to the size, then to everything', () => {
    const estimates = new RuntimeEstimates();
    expect(estimates.remainingMs('a', 1, 0, 0.5)).toBeUndefined();
    estimates.ended('b', 4, 7);
    expect(estimates.remainingMs('a', 1, 0, 0.5)).toBe(7);
    for (const runtime of [10, 20, 30, 40, 50, 60, 70, 80]) estimates.ended('b', 1, runtime);
    expect(estimates.remainingMs('a', 1, 0, 0.5)).toBe(50);
    expect(estimates.remainingMs('b', 1, 55, 0.5)).toBe(15);
    expect(estimates.remainingMs('b', 1, 90, 0.5)).toBe(90);
    for (let at = 0; at < 1000; at += 1) estimates.ended('b', 1, 5);
    expect(estimates.remainingMs('b', 1, 0, 0.9)).toBe(5);
  });
});
