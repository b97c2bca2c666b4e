// What planning a pool costs and brings: greedily, by the solver, by moving. Random pools, half of their slices in use,
// a tenth of their GPUs not to be touched, half of the work movable; the queue asks for more than there is.
//
//   ./astrago bench repartition [--gpus 256] [--pieces 600] [--seeds 5] [--json]
import { parseArgs } from 'node:util';
import { h100Grid } from '@astrago/controller/core/cluster/sample-cluster';
import { planGreedily } from '@astrago/controller/core/repartition/greedy';
import { lintPlan } from '@astrago/controller/core/repartition/lint';
import { proposeMoves } from '@astrago/controller/core/repartition/migrate';
import { planPool } from '@astrago/controller/core/repartition/plan-pool';
import { planValue } from '@astrago/controller/core/repartition/plan-value';
import { sampleDemand, samplePool } from '@astrago/controller/core/repartition/sample-pool';
import { solveMilp } from '@astrago/controller/planning';

interface SeedResult {
  readonly seed: number;
  /** Of the demand by weight, in percent. */
  readonly greedyMet: number;
  readonly solvedMet: number;
  readonly movedMet: number;
  readonly greedyMs: number;
  /** Greedily first, then both questions to the solver, each in a thread that is started for it. */
  readonly solvedMs: number;
  readonly movesMs: number;
  readonly solver: string;
  readonly gpusChanged: number;
  readonly moves: number;
  readonly findings: number;
}

async function runSeed(seed: number, gpus: number, pieces: number): Promise<SeedResult> {
  const pool = samplePool({
    seed,
    nodes: Math.ceil(gpus / 8),
    gpusPerNode: 8,
    grid: h100Grid,
    busy: 0.5,
    movable: 0.5,
    notOpen: 0.1,
    cpuMilliPerGpu: 6000,
  });
  const demand = sampleDemand(h100Grid, seed, pieces);
  const percent = (met: number, wanted: number): number => Math.round((1000 * met) / wanted) / 10;
  const startMs = performance.now();
  const greedy = planValue(planGreedily(pool, demand), demand);
  const greedyMs = performance.now();
  const planned = await planPool(pool, demand, (text) => solveMilp(text, 60_000));
  const solvedMs = performance.now();
  if (planned.kind === 'faulty') throw new Error(JSON.stringify(planned.findings));
  const moved = proposeMoves(pool, demand, planned, { moves: 16, movesPerPiece: 3, looks: 2_000_000, looksPerClass: 100_000 });
  const movesMs = performance.now();
  const plan = moved.kind === 'proposal' ? moved.plan : planned.plan;
  return {
    seed,
    greedyMet: percent(greedy.met, greedy.wanted),
    solvedMet: percent(planned.value.met, greedy.wanted),
    movedMet: percent(planValue(plan, demand).met, greedy.wanted),
    greedyMs: Math.round(greedyMs - startMs),
    solvedMs: Math.round(solvedMs - greedyMs),
    movesMs: Math.round(movesMs - solvedMs),
    solver: planned.solver.kind,
    gpusChanged: planned.plan.changes.length,
    moves: plan.moves.length,
    findings: lintPlan(pool, demand, plan).length,
  };
}

const { values } = parseArgs({
  options: {
    gpus: { type: 'string', default: '256' },
    pieces: { type: 'string', default: '600' },
    seeds: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false },
  },
});
const results: SeedResult[] = [];
for (let seed = 1; seed <= Number(values.seeds); seed += 1) results.push(await runSeed(seed, Number(values.gpus), Number(values.pieces)));
if (values.json) console.log(JSON.stringify({ gpus: Number(values.gpus), pieces: Number(values.pieces), results }));
else {
  console.log(`${values.gpus} H100, ${values.pieces} pieces wait`);
  console.table(results);
}
