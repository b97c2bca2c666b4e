import { formatLayout, isLegal } from '@astrago/shared/domain/mig/layout';
import { formatSlice, sameSlice } from '@astrago/shared/domain/mig/slice';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { a30Grid, h100Grid } from '../cluster/sample-cluster.ts';
import { planGreedily } from './greedy.ts';
import { lintPlan } from './lint.ts';

import { firstPlan } from './planner.ts';
import { sampleDemand, sampleGpu, samplePool, samplePoolOf, sampleWant } from './sample-pool.ts';

const gpu = (index: number, layout: string, used: string) => sampleGpu(index, h100Grid, layout, used);
const layoutsOf = (plan: ReturnType<typeof planGreedily>) => plan.changes.map(({ layout }) => formatLayout(layout));

describe('planning greedily', () => {
  it('uses idle slices as they are and changes nothing', () => {
    const pool = samplePoolOf([gpu(0, 'whole', ''), gpu(1, '3g.40gb@0,1g.10gb@4', '1g.10gb@4')]);
    const plan = planGreedily(pool, sampleWant(h100Grid, '3g.40gb'));
    expect(plan.changes).toEqual([]);
    expect(plan.claims.flatMap(({ devices }) => devices.map(({ slice }) => slice && formatSlice(slice)))).toEqual(['3g.40gb@0']);
  });

  it('cuts around slices in use and keeps the idle ones that are not in the way', () => {
    const pool = samplePoolOf([gpu(0, '1g.10gb@0,1g.10gb@4,1g.10gb@5,1g.10gb@1', '1g.10gb@4')]);
    const plan = planGreedily(pool, sampleWant(h100Grid, '2g.20gb'));
    expect(layoutsOf(plan)).toEqual(['1g.10gb@0,1g.10gb@1,2g.20gb@2,1g.10gb@4,1g.10gb@5']);
  });

  it('changes one GPU for two pieces, not two', () => {
    const pool = samplePoolOf([gpu(0, 'mig', ''), gpu(1, 'mig', '')]);
    expect(layoutsOf(planGreedily(pool, sampleWant(h100Grid, '3g.40gb', 2)))).toEqual(['3g.40gb@0,3g.40gb@4']);
  });

  it('gives whole GPUs of one node together, or none', () => {
    const pool = samplePoolOf([gpu(0, 'whole', ''), gpu(1, '1g.10gb@0', ''), gpu(2, '1g.10gb@0', '1g.10gb@0')]);
    expect(planGreedily(pool, sampleWant(h100Grid, 2))).toMatchObject({ changes: [{ layout: { kind: 'whole' } }], claims: [{}] });
    expect(planGreedily(pool, sampleWant(h100Grid, 3))).toEqual({ changes: [], claims: [], moves: [] });
  });

  it.each(['pinned', 'cut-by-other', 'settling'] as const)('leaves what is %s as it is cut, and uses what is idle there', (standing) => {
    const pool = samplePoolOf([{ ...gpu(0, '1g.10gb@0', ''), standing }]);
    expect(planGreedily(pool, sampleWant(h100Grid, '1g.10gb', 2))).toMatchObject({ changes: [], claims: [{}] });
  });

  it.each(['ailing', 'closed'] as const)('gives nothing to what is %s', (standing) => {
    const pool = samplePoolOf([{ ...gpu(0, '1g.10gb@0', ''), standing }]);
    expect(planGreedily(pool, sampleWant(h100Grid, '1g.10gb'))).toEqual({ changes: [], claims: [], moves: [] });
  });

  it('gives a node no more than its CPU lets begin', () => {
    const pool = samplePoolOf([gpu(0, 'mig', '')], 2500);
    expect(planGreedily(pool, sampleWant(h100Grid, '1g.10gb', 5)).claims).toHaveLength(2);
  });

  it('asks for no solver when all is met', () => {
    const pool = samplePoolOf([gpu(0, 'mig', '')]);
    expect(firstPlan(pool, sampleWant(h100Grid, '1g.10gb', 7)).model).toBeUndefined();
    expect(firstPlan(pool, sampleWant(h100Grid, '1g.10gb', 8)).model).toBeDefined();
  });

  it('keeps every slice in use, plans only legal layouts, and passes the lint, whatever the pool', () => {
    fc.assert(
      fc.property(fc.nat(), fc.constantFrom(h100Grid, a30Grid), fc.nat(30), (seed, grid, pieces) => {
        const pool = samplePool({ seed, nodes: 2, gpusPerNode: 3, grid, busy: 0.5, movable: 0.5, notOpen: 0.3, cpuMilliPerGpu: 6000 });
        const demand = sampleDemand(grid, seed, pieces);
        const plan = planGreedily(pool, demand);
        expect(lintPlan(pool, demand, plan)).toEqual([]);
        for (const { gpu: uuid, layout } of plan.changes) {
          const slices = layout.kind === 'mig' ? layout.slices : [];
          expect(isLegal(grid, slices)).toBe(true);
          for (const used of pool.gpus.find((one) => one.uuid === uuid)?.used ?? [])
            expect(slices.some((slice) => sameSlice(slice, used))).toBe(true);
        }
        expect(planGreedily(pool, demand)).toEqual(plan);
      }),
      { numRuns: 150 },
    );
  });
});
