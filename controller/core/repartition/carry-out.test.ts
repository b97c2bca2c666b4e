import { formatLayout, isLegal } from '@astrago/shared/domain/mig/layout';
import { sameSlice } from '@astrago/shared/domain/mig/slice';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { h100Grid } from '../cluster/sample-cluster.ts';
import { ordersNow } from './carry-out.ts';
import type { DemandClass } from './demand.ts';
import { planGreedily } from './greedy.ts';
import { proposeMoves } from './migrate.ts';
import { planValue } from './plan-value.ts';
import type { Pool } from './pool.ts';
import type { RepartitionPlan } from './repartition-plan.ts';
import { sampleDemand, sampleGpu, samplePool, samplePoolOf, sampleWant } from './sample-pool.ts';

const gpu = (index: number, layout: string, used: string) => sampleGpu(index, h100Grid, layout, used);

function planWithMoves(pool: Pool, demand: readonly DemandClass[]): RepartitionPlan | undefined {
  const plan = planGreedily(pool, demand);
  const base = { plan, value: planValue(plan, demand) };
  const answer = proposeMoves(pool, demand, base, { moves: 6, movesPerPiece: 3, looks: 50_000, looksPerClass: 10_000 });
  return answer.kind === 'proposal' ? answer.plan : undefined;
}

function orders(pool: Pool, demand: readonly DemandClass[]) {
  const { layouts, moves } = ordersNow(pool, planWithMoves(pool, demand) ?? expect.unreachable());
  return { layouts: layouts.map(({ layout }) => formatLayout(layout)), moves: moves.map(({ workload }) => workload) };
}

describe('what of a plan is ordered now', () => {
  it('is all of a plan without moves', () => {
    const pool = samplePoolOf([gpu(0, '1g.10gb@0', '')]);
    const plan = planGreedily(pool, sampleWant(h100Grid, '4g.40gb'));
    expect(ordersNow(pool, plan)).toEqual({
      layouts: plan.changes.map(({ gpu: uuid, node, layout }) => ({ gpu: uuid, node, layout })),
      moves: [],
    });
  });

  it('keeps the place that somebody leaves until it is left, beside the one where it goes', () => {
    expect(orders(samplePoolOf([gpu(0, '1g.10gb@0', '1g.10gb@0')]), sampleWant(h100Grid, '4g.40gb'))).toEqual({
      layouts: ['1g.10gb@0,1g.10gb@6'],
      moves: ['w0-0'],
    });
  });

  it('does not move to a place that is still in use', () => {
    const pool = samplePoolOf([
      gpu(0, '3g.40gb@0,3g.40gb@4', '3g.40gb@0,3g.40gb@4'),
      gpu(1, '4g.40gb@0,1g.10gb@4', '4g.40gb@0,1g.10gb@4'),
      { ...gpu(2, '1g.10gb@0', ''), standing: 'pinned' },
    ]);
    expect(orders(pool, sampleWant(h100Grid, '4g.40gb'))).toEqual({ layouts: ['1g.10gb@0'], moves: ['w1-1'] });
  });

  it('does not hold more CPU of a node than there is while old and new place are both held', () => {
    const pool = samplePoolOf([gpu(0, '1g.10gb@0', '1g.10gb@0')], 1000);
    const plan = planWithMoves(pool, sampleWant(h100Grid, '4g.40gb')) ?? expect.unreachable();
    expect(ordersNow(pool, plan).moves).toHaveLength(1);
    expect(ordersNow({ ...pool, nodes: pool.nodes.map((node) => ({ ...node, freeCpuMilli: 999 })) }, plan)).toEqual({
      layouts: [],
      moves: [],
    });
  });

  it('loses nothing in use, and orders only legal layouts with every place that is moved to, whatever the pool', () => {
    let seen = 0;
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const pool = samplePool({
          seed,
          nodes: 2,
          gpusPerNode: 2,
          grid: h100Grid,
          busy: 0.6,
          movable: 0.9,
          notOpen: 0.2,
          cpuMilliPerGpu: 12_000,
        });
        const plan = planWithMoves(pool, sampleDemand(h100Grid, seed, 8));
        if (plan === undefined) return;
        seen += 1;
        const { layouts, moves } = ordersNow(pool, plan);
        for (const { gpu: uuid, layout } of layouts) {
          const slices = layout.kind === 'mig' ? layout.slices : [];
          const before = pool.gpus.find((one) => one.uuid === uuid) ?? expect.unreachable();
          const arrived = moves.filter(({ to }) => to.gpu === uuid).map(({ to }) => to.slice);
          expect(isLegal(h100Grid, slices)).toBe(true);
          for (const needed of [...before.used, ...arrived]) expect(slices.some((slice) => sameSlice(slice, needed))).toBe(true);
          if (before.standing !== 'open') expect(formatLayout(layout)).toBe(formatLayout(before.layout));
        }
      }),
      { numRuns: 150, seed: 5 },
    );
    expect(seen).toBeGreaterThan(20);
  });
});
