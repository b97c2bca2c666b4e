import type { ProfileName } from '@astrago/shared/domain/mig/profile';
import { describe, expect, it } from 'vitest';
import { type DemandInput, demandOf, type RecentPiece, type WaitingPiece, wantText } from './demand.ts';

const minute = 60_000;
const small = { want: { kind: 'slice', profile: '1g.10gb' as ProfileName }, units: 1, cpuMilli: 0, memoryMiB: 0 } as const;
const large = { want: { kind: 'slice', profile: '3g.40gb' as ProfileName }, units: 4, cpuMilli: 0, memoryMiB: 0 } as const;
const waits = (of: typeof small | typeof large, priority = 0, minutes = 0): WaitingPiece => ({
  ...of,
  priority,
  waitingSinceMs: 1000 * minute - minutes * minute,
});
const asked = (of: typeof small | typeof large, minutesAgo: number): RecentPiece => ({ ...of, askedAtMs: (1000 - minutesAgo) * minute });

function demand(queue: readonly WaitingPiece[], history: readonly RecentPiece[] = []) {
  const input: DemandInput = { queue, history, nowMs: 1000 * minute, halfLifeMs: 60 * minute };
  return demandOf(input).map(({ want, count, weight, waiting }) => [wantText(want), count, weight, waiting]);
}

describe('demand', () => {
  it('is counted by equal pieces, each worth its units', () => {
    expect(demand([waits(small), waits(large), waits(small)])).toEqual([
      ['3g.40gb', 1, 32, true],
      ['1g.10gb', 2, 8, true],
    ]);
  });

  it('tells apart what needs another CPU or memory', () => {
    expect(demand([waits(small), { ...waits(small), cpuMilli: 500 }])).toHaveLength(2);
  });

  it('grows with the time that it has waited, up to twice', () => {
    const weights = [0, 1, 4, 16, 64, 10_000].map((minutes) => demand([waits(small, 0, minutes)])[0]?.[2]);
    expect(weights).toEqual([8, 10, 12, 14, 16, 16]);
  });

  it('counts a priority twice the next lower one', () => {
    expect(demand([waits(small, 7), waits(small, -3), waits(small, 100)]).map(([, , weight]) => weight)).toEqual([32, 16, 8]);
  });

  it('puts the worthiest by unit first, whatever the order of the queue', () => {
    const queue = [waits(large, 0, 20), waits(small, 1), waits(small), waits(large)];
    expect(demand(queue)).toEqual(demand(queue.toReversed()));
    expect(demand(queue).map(([want]) => want)).toEqual(['1g.10gb', '3g.40gb', '3g.40gb', '1g.10gb']);
  });

  it('expects what was asked for lately, the less the longer ago, and far less than what waits', () => {
    expect(demand([], [asked(large, 0), asked(large, 0), asked(large, 60)])).toEqual([['3g.40gb', 2, 4, false]]);
    expect(demand([], [asked(large, 60), asked(large, 60)])).toEqual([['3g.40gb', 1, 4, false]]);
    expect(demand([], [asked(large, 61), asked(large, 61)])).toEqual([]);
  });

  it('is worded for people', () => {
    expect([wantText({ kind: 'whole', gpus: 1 }), wantText({ kind: 'whole', gpus: 4 })]).toEqual([
      '1 whole GPU',
      '4 whole GPUs on one node',
    ]);
  });
});
