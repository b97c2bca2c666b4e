import { formatLayout } from '@astrago/shared/domain/mig/layout';
import { formatSlice } from '@astrago/shared/domain/mig/slice';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { a30Grid, h100Grid } from '../cluster/sample-cluster.ts';
import type { DemandClass } from './demand.ts';
import { planGreedily } from './greedy.ts';
import { lintPlan } from './lint.ts';
import { type MigrationAnswer, proposeMoves } from './migrate.ts';
import { planValue } from './plan-value.ts';
import type { Movability, Pool } from './pool.ts';
import { sampleDemand, sampleGpu, samplePool, samplePoolOf, sampleWant } from './sample-pool.ts';

const gpu = (index: number, layout: string, used: string, move?: Movability['kind']) => sampleGpu(index, h100Grid, layout, used, move);
const bounds = { moves: 6, movesPerPiece: 4, looks: 100_000, looksPerClass: 20_000 };

function propose(pool: Pool, demand: readonly DemandClass[], more: Partial<typeof bounds> = {}): MigrationAnswer {
  const plan = planGreedily(pool, demand);
  return proposeMoves(pool, demand, { plan, value: planValue(plan, demand) }, { ...bounds, ...more });
}

function movesOf(pool: Pool, answer: MigrationAnswer): readonly string[] {
  if (answer.kind !== 'proposal') return [answer.reason];
  const index = (uuid: string): number => pool.gpus.findIndex((one) => one.uuid === uuid);
  return answer.plan.moves.map(
    ({ workload, from, to }) => `${workload} ${index(from.gpu)} ${formatSlice(from.slice)} > ${index(to.gpu)} ${formatSlice(to.slice)}`,
  );
}

describe('moving work', () => {
  it('moves the one slice in the way to where there is room', () => {
    const pool = samplePoolOf([gpu(0, '1g.10gb@0,3g.40gb@4', '1g.10gb@0,3g.40gb@4'), gpu(1, '4g.40gb@0,1g.10gb@4', '4g.40gb@0')]);
    const answer = propose(pool, sampleWant(h100Grid, '4g.40gb'));
    expect(movesOf(pool, answer)).toEqual(['w0-0 0 1g.10gb@0 > 1 1g.10gb@4']);
    expect(answer).toMatchObject({
      cost: { sliceSeconds: 100, restarts: ['w0-0'], resumes: [], gpusChanged: 1, slicesDestroyed: 1 },
      gain: { met: 32, units: 4, pieces: [{ count: 1 }] },
      cutShort: false,
    });
    expect(answer.kind === 'proposal' && answer.text).toBe(
      `1 x 4g.40gb fit after moving w0-0 from ${pool.gpus[0]?.uuid} 1g.10gb@0 to ${pool.gpus[1]?.uuid} 1g.10gb@4 (w0-0 begin anew, 100 slice-seconds are done again)`,
    );
  });

  it('moves within the GPU when that is enough', () => {
    const pool = samplePoolOf([gpu(0, '1g.10gb@0', '1g.10gb@0', 'checkpoint')]);
    const answer = propose(pool, sampleWant(h100Grid, '4g.40gb'));
    expect(movesOf(pool, answer)).toEqual(['w0-0 0 1g.10gb@0 > 0 1g.10gb@6']);
    expect(answer).toMatchObject({ cost: { restarts: [], resumes: ['w0-0'] } });
  });

  it('moves one rather than two, and the cheaper of two', () => {
    const dear = gpu(2, '1g.10gb@0', '1g.10gb@0');
    const costly = { ...dear, used: dear.used.map((used) => ({ ...used, move: { kind: 'restart', lostSeconds: 5000 } as const })) };
    const pool = samplePoolOf([
      gpu(0, '1g.10gb@0,1g.10gb@1,3g.40gb@4', '1g.10gb@0,1g.10gb@1,3g.40gb@4'),
      costly,
      gpu(3, '1g.10gb@0,3g.40gb@4', '1g.10gb@0,3g.40gb@4'),
    ]);
    expect(movesOf(pool, propose(pool, sampleWant(h100Grid, '4g.40gb')))).toEqual(['w3-0 2 1g.10gb@0 > 0 1g.10gb@3']);
  });

  it('moves only what allows it', () => {
    const stays = samplePoolOf([gpu(0, '1g.10gb@0', '1g.10gb@0', 'stays')]);
    expect(propose(stays, sampleWant(h100Grid, '4g.40gb'))).toEqual({ kind: 'none', reason: 'nothing-may-move', cutShort: false });
    const one = samplePoolOf([gpu(0, '1g.10gb@0', '1g.10gb@0', 'stays'), gpu(1, '4g.40gb@0', '4g.40gb@0')]);
    expect(propose(one, sampleWant(h100Grid, '4g.40gb'))).toEqual({ kind: 'none', reason: 'no-room-found', cutShort: false });
  });

  it('leaves work alone on GPUs that are not open, and lets work come to what is idle there', () => {
    const pinned = { ...gpu(0, '1g.10gb@0', '1g.10gb@0'), standing: 'pinned' } as const;
    expect(movesOf(samplePoolOf([pinned]), propose(samplePoolOf([pinned]), sampleWant(h100Grid, '4g.40gb')))).toEqual(['nothing-may-move']);
    const idle = { ...gpu(1, '1g.10gb@2', ''), standing: 'pinned' } as const;
    const pool = samplePoolOf([gpu(0, '1g.10gb@0,3g.40gb@4', '1g.10gb@0,3g.40gb@4'), idle]);
    expect(movesOf(pool, propose(pool, sampleWant(h100Grid, '4g.40gb')))).toEqual(['w0-0 0 1g.10gb@0 > 1 1g.10gb@2']);
  });

  it('empties a GPU for what asks for it in one piece', () => {
    const pool = samplePoolOf([gpu(0, '1g.10gb@0,2g.20gb@2', '1g.10gb@0,2g.20gb@2'), gpu(1, '4g.40gb@0', '4g.40gb@0')]);
    const answer = propose(pool, sampleWant(h100Grid, 1));
    expect(movesOf(pool, answer)).toEqual(['w0-1 0 2g.20gb@2 > 1 2g.20gb@4', 'w0-0 0 1g.10gb@0 > 1 1g.10gb@6']);
    expect(answer.kind === 'proposal' && answer.plan.changes.map(({ layout }) => formatLayout(layout))).toEqual([
      'whole',
      '4g.40gb@0,2g.20gb@4,1g.10gb@6',
    ]);
  });

  it('lets one that moves make another move, where that is the only way', () => {
    // The 3g can only go where the 1g@4 of the second GPU is, and that one to the third.
    const pool = samplePoolOf([
      gpu(0, '3g.40gb@0,3g.40gb@4', '3g.40gb@0,3g.40gb@4'),
      gpu(1, '4g.40gb@0,1g.10gb@4', '4g.40gb@0,1g.10gb@4'),
      { ...gpu(2, '1g.10gb@0', ''), standing: 'pinned' },
    ]);
    expect(movesOf(pool, propose(pool, sampleWant(h100Grid, '4g.40gb')))).toEqual([
      'w0-0 0 3g.40gb@0 > 1 3g.40gb@4',
      'w1-1 1 1g.10gb@4 > 2 1g.10gb@0',
    ]);
    expect(movesOf(pool, propose(pool, sampleWant(h100Grid, '4g.40gb'), { movesPerPiece: 1 }))).toEqual(['no-room-found']);
  });

  it('has nothing to say when all is met, and says when it was cut short', () => {
    const pool = samplePoolOf([gpu(0, '1g.10gb@0', '1g.10gb@0'), gpu(1, 'mig', '')]);
    expect(propose(pool, sampleWant(h100Grid, '4g.40gb'))).toEqual({ kind: 'none', reason: 'nothing-unmet', cutShort: false });
    expect(propose(pool, sampleWant(h100Grid, '7g.80gb', 2), { looks: 3 })).toMatchObject({ kind: 'none', cutShort: true });
  });

  it('does not bring more to a node than its CPU lets begin', () => {
    const pool = samplePoolOf([gpu(0, '1g.10gb@0', '1g.10gb@0')], 999);
    expect(movesOf(pool, propose(pool, sampleWant(h100Grid, '4g.40gb')))).toEqual(['no-room-found']);
  });

  it('proposes only what passes the lint, within the bounds, and meets more than without, whatever the pool', () => {
    let proposals = 0;
    fc.assert(
      fc.property(fc.nat(), fc.constantFrom(h100Grid, a30Grid), (seed, grid) => {
        const pool = samplePool({ seed, nodes: 2, gpusPerNode: 2, grid, busy: 0.6, movable: 0.8, notOpen: 0.2, cpuMilliPerGpu: 12_000 });
        const demand = sampleDemand(grid, seed, 8);
        const plan = planGreedily(pool, demand);
        const value = planValue(plan, demand);
        const answer = proposeMoves(pool, demand, { plan, value }, bounds);
        if (answer.kind !== 'proposal') return;
        proposals += 1;
        expect(lintPlan(pool, demand, answer.plan)).toEqual([]);
        expect(answer.plan.moves.length).toBeLessThanOrEqual(bounds.moves);
        expect(planValue(answer.plan, demand).met).toBe(value.met + answer.gain.met);
        expect(answer.gain.met).toBeGreaterThan(0);
        expect(proposeMoves(pool, demand, { plan, value }, bounds)).toEqual(answer);
      }),
      { numRuns: 200, seed: 1 },
    );
    expect(proposals).toBeGreaterThan(20);
  });
});
