import { findCatalogModel } from '@astrago/shared/domain/mig/catalog';
import { isLegal } from '@astrago/shared/domain/mig/layout';
import type { WantedSlice } from '@astrago/shared/domain/mig/slice';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DemandClass } from '#core/repartition/demand';
import { planGreedily } from '#core/repartition/greedy';
import { lintPlan } from '#core/repartition/lint';
import type { Solve } from '#core/repartition/milp-outcome';
import { type PlannedPool, planPool } from '#core/repartition/plan-pool';
import { planValue } from '#core/repartition/plan-value';
import type { Pool, PoolGpu } from '#core/repartition/pool';
import { sampleDemand, sampleGpu, samplePool, samplePoolOf, sampleWant } from '#core/repartition/sample-pool';
import { loadSolver } from './load-solver.ts';

const gridOf = (key: string) => findCatalogModel(key)?.grid ?? expect.unreachable();
const h100 = gridOf('h100-80gb');
const a30 = gridOf('a30-24gb');
const solve = await loadSolver();
const solver: Solve = (text) => {
  const { status, objective, values } = solve(text, 20);
  return Promise.resolve(status === 'Optimal' ? { kind: 'solved', objective, values } : { kind: 'no-solution', status });
};

/** 2g and 3g wait; taking the 2g first blocks the only place for the 3g unless it is put at the right start. */
const pool = samplePoolOf([sampleGpu(0, h100, '1g.10gb@0,1g.10gb@4', '1g.10gb@0,1g.10gb@4', 'stays'), sampleGpu(1, h100, 'mig', '')]);
const demand = [...sampleWant(h100, '2g.20gb', 3), ...sampleWant(h100, '4g.40gb', 2)];

function planned(answer: PlannedPool) {
  return answer.kind === 'planned' ? answer : expect.unreachable(JSON.stringify(answer));
}

/** The most that can be met, by trying all legal layouts of every GPU. No CPU, no whole GPUs. */
function mostByTrying({ gpus }: Pool, wanted: readonly DemandClass[]): number {
  const layouts = gpus.map((gpu) => (gpu.standing === 'ailing' || gpu.standing === 'closed' || gpu.usedWhole ? [[]] : idleSetsOf(gpu)));
  const value = (idle: readonly string[]): number => {
    const left = [...idle];
    return wanted
      .toSorted((a, b) => b.weight - a.weight)
      .reduce((sum, { want, weight, count }) => {
        for (let pieces = 0; pieces < count; pieces += 1) {
          const index = want.kind === 'slice' ? left.indexOf(want.profile) : -1;
          if (index < 0) break;
          left.splice(index, 1);
          sum += weight;
        }
        return sum;
      }, 0);
  };
  const best = (index: number, idle: readonly string[]): number =>
    index === layouts.length ? value(idle) : Math.max(...(layouts[index] ?? []).map((set) => best(index + 1, [...idle, ...set])));
  return best(0, []);
}

function idleSetsOf(gpu: PoolGpu): readonly (readonly string[])[] {
  const { grid, used, layout, standing } = gpu;
  const present = layout.kind === 'mig' ? layout.slices.filter((one) => !used.some((other) => other.start === one.start)) : [];
  if (grid === undefined || standing !== 'open') return [present.map(({ profile }) => profile)];
  const sets = new Map<string, readonly string[]>();
  const places = grid.profiles.flatMap(({ name, starts }) => starts.map((start): WantedSlice => ({ profile: name, start })));
  const extend = (from: number, set: readonly WantedSlice[]): void => {
    const names = set.map(({ profile }) => profile as string).sort();
    sets.set(names.join(), names);
    for (const [offset, one] of places.slice(from).entries())
      if (isLegal(grid, [...used, ...set, one])) extend(from + offset + 1, [...set, one]);
  };
  extend(0, []);
  return [...sets.values()];
}

describe('planning a pool', () => {
  it('asks the solver for what the greedy plan leaves, and takes its plan when it is better', async () => {
    const greedy = planValue(planGreedily(pool, demand), demand);
    const { plan, value, solver: note } = planned(await planPool(pool, demand, solver));
    expect(note).toEqual({ kind: 'optimal' });
    expect(value.met).toBe(mostByTrying(pool, demand));
    expect(value.met).toBeGreaterThanOrEqual(greedy.met);
    expect(lintPlan(pool, demand, plan)).toEqual([]);
  });

  it('does not ask when the greedy plan meets all', async () => {
    const answer = await planPool(pool, sampleWant(h100, '3g.40gb'), () => expect.unreachable('no solver is needed'));
    expect(answer).toMatchObject({ kind: 'planned', solver: { kind: 'not-needed' }, plan: { claims: [{}] } });
  });

  it('meets as much as any layouts of a small pool can', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), async (seed) => {
        const small = samplePool({
          seed,
          nodes: 1,
          gpusPerNode: 3,
          grid: a30,
          busy: 0.4,
          movable: 0,
          notOpen: 0.2,
          cpuMilliPerGpu: 100_000,
        });
        const wanted = sampleDemand(a30, seed, 7).filter(({ want }) => want.kind === 'slice');
        const { plan, value } = planned(await planPool(small, wanted, solver));
        expect(value.met).toBe(mostByTrying(small, wanted));
        expect(lintPlan(small, wanted, plan)).toEqual([]);
      }),
      { numRuns: 25 },
    );
  });

  it('is never worse than greedy, passes the lint, keeps what is used, and says the same again, whatever the pool', {
    timeout: 120_000,
  }, async () => {
    let better = 0;
    await fc.assert(
      fc.asyncProperty(fc.nat(), async (seed) => {
        const any = samplePool({ seed, nodes: 3, gpusPerNode: 2, grid: h100, busy: 0.4, movable: 0.5, notOpen: 0.2, cpuMilliPerGpu: 5000 });
        const wanted = sampleDemand(h100, seed, 20);
        const greedy = planValue(planGreedily(any, wanted), wanted);
        const answer = planned(await planPool(any, wanted, solver));
        if (answer.value.met > greedy.met) better += 1;
        expect(answer.value.met).toBeGreaterThanOrEqual(greedy.met);
        expect(['optimal', 'not-needed']).toContain(answer.solver.kind);
        expect(lintPlan(any, wanted, answer.plan)).toEqual([]);
        expect(await planPool(any, wanted, solver)).toEqual(answer);
      }),
      { numRuns: 12, seed: 3 },
    );
    expect(better).toBeGreaterThan(3);
  });

  it.each([
    ['time is over', { kind: 'timed-out', afterMs: 5 }],
    ['the thread crashes', { kind: 'crashed', detail: 'out of order' }],
    ['there is no solution', { kind: 'no-solution', status: 'Infeasible' }],
  ] as const)('keeps the greedy plan when %s', async (_what, outcome) => {
    const answer = await planPool(pool, demand, () => Promise.resolve(outcome));
    expect(answer).toMatchObject({ kind: 'planned', plan: planGreedily(pool, demand), solver: outcome });
  });

  it('asks nothing that is too large to be answered', async () => {
    const answer = planned(await planPool(pool, demand, () => expect.unreachable('it is too large'), 5));
    expect(answer.plan).toEqual(planGreedily(pool, demand));
    expect(answer.solver).toMatchObject({ kind: 'too-large' });
  });

  it('keeps the greedy plan when the solver answers nonsense', async () => {
    for (const values of [{}, { x0_0: 7 }, { x0_0: 1, x1_0: 1, y0: 3, y1: 2 }]) {
      const answer = await planPool(pool, demand, () => Promise.resolve({ kind: 'solved', objective: 1000, values }));
      expect(answer).toMatchObject({ plan: planGreedily(pool, demand), solver: { kind: 'faulty' } });
    }
  });

  it('keeps the fullest plan when the second question fails', async () => {
    let asked = 0;
    const once: Solve = (text) => {
      asked += 1;
      return asked === 1 ? solver(text) : Promise.resolve({ kind: 'crashed', detail: 'out of order' });
    };
    const { value, solver: note } = planned(await planPool(pool, demand, once));
    expect(value.met).toBe(mostByTrying(pool, demand));
    expect(note).toEqual({ kind: 'not-cheapest', outcome: { kind: 'crashed', detail: 'out of order' } });
  });
});
