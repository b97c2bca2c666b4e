// What placement of MIG slices is worth where slices come and go: a loss system of equal GPUs (Poisson arrivals, lifetimes
// exponential of mean 1, 4,000 arrivals of warm-up, 20,000 measured; what fits nowhere is lost). All policies see the same
// arrivals, drawn before the first decision. Differences are paired by seed, with the standard error of their mean.
//
//   ./astrago bench mig-churn [--rho 1.0]... [--mix uniform|skewSmall|skewBig|bimodal|random:N]... [--policy P]... [--seeds 40]
//     [--gpus 100] [--model h100-80gb] [--moves K] [--movable F] [--ends exact|noisy|none] [--json]
//
// --moves and --ends add a second row for each policy; its differences are to the same rivals as they are, and to itself.
import { parseArgs } from 'node:util';
import { seededRandom } from '@astrago/controller/core/cluster/sample-random';
import { drawArrivals } from '@astrago/controller/core/mig/churn';
import { gridFor } from './mig-churn/grid.ts';
import { mixesOf, mixNames, type NamedMix } from './mig-churn/mixes.ts';
import { pool } from './mig-churn/pool.ts';
import { type SimulationOutcome, type Stream, simulate } from './mig-churn/simulate.ts';
import { policyNames, sourcesOf } from './mig-churn/sources.ts';
import { paired, type Row, rowText } from './mig-churn/table.ts';

const { values } = parseArgs({
  options: {
    rho: { type: 'string', multiple: true, default: ['1.0'] },
    mix: { type: 'string', multiple: true, default: mixNames },
    policy: { type: 'string', multiple: true, default: policyNames },
    seeds: { type: 'string', default: '40' },
    gpus: { type: 'string', default: '100' },
    model: { type: 'string', default: 'h100-80gb' },
    moves: { type: 'string', default: '0' },
    movable: { type: 'string', default: '1' },
    ends: { type: 'string', default: 'none' },
    json: { type: 'boolean', default: false },
  },
});

const number = (name: 'seeds' | 'gpus' | 'moves' | 'movable', most: number): number => {
  const value = Number(values[name]);
  if (!(value >= 0 && value <= most)) throw new Error(`--${name} ${values[name]}: a number up to ${most}`);
  return value;
};
const seeds = number('seeds', 1000);
const gpus = number('gpus', 10_000);
const moves = number('moves', 2);
const movable = number('movable', 1);
const { ends } = values;
if (!['exact', 'noisy', 'none'].includes(ends)) throw new Error(`--ends ${ends}: exact, noisy or none`);
for (const policy of values.policy)
  if (!policyNames.includes(policy)) throw new Error(`there is no policy ${policy}; there are ${policyNames.join(', ')}`);

const warmUp = 4000;
const measured = 20_000;
const { catalogue, profiles } = gridFor(values.model);
const { sets } = catalogue;
const rivals = ['fragu', 'bf-mcc'];

function streamOf(mix: NamedMix, load: number, seed: number): Stream {
  const arrivals = drawArrivals(sets, { count: warmUp + measured, gpus, load, weights: mix.weights }, seededRandom(seed));
  const coin = seededRandom(1_000_000 + seed);
  return { ...arrivals, profiles, movable: Uint8Array.from(arrivals.kinds, () => Number(coin() < movable)) };
}

/** What each is said to stay: as it will, or off by a log-normal factor of sigma 0.7, a factor of two as a rule. */
function declaredOf({ lifetimes }: Stream, seed: number): Float64Array {
  if (ends === 'exact') return lifetimes;
  const random = seededRandom(2_000_000 + seed);
  return lifetimes.map((lifetime) => {
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    return lifetime * Math.exp(0.7 * normal);
  });
}

function measure(mix: NamedMix, load: number, sources: ReturnType<typeof sourcesOf>): void {
  const outcomes = new Map<string, SimulationOutcome[]>();
  const plain = [...new Set([...rivals, ...values.policy])];
  const extra = moves > 0 || ends !== 'none' ? values.policy.filter((policy) => policy !== 'pool') : [];
  const label = [
    moves > 0 ? `moves<=${moves}` : '',
    moves > 0 && movable < 1 ? `movable ${movable}` : '',
    ends === 'none' ? '' : `ends ${ends}`,
  ];
  const suffix = ` ${label.filter((part) => part !== '').join(' ')}`;
  const times = new Map<string, number>();
  for (let seed = 1; seed <= seeds; seed += 1) {
    const stream = streamOf(mix, load, seed);
    const run = (name: string, work: () => SimulationOutcome): void => {
      const startMs = performance.now();
      const own = outcomes.get(name) ?? [];
      outcomes.set(name, own);
      own.push(work());
      times.set(name, (times.get(name) ?? 0) + performance.now() - startMs);
    };
    for (const policy of plain) {
      if (policy === 'pool') run(policy, () => pool(sets, stream, { gpus, warmUp, moves: 0 }));
      else {
        const source = sources.source(policy, seed, stream);
        run(policy, () => simulate(source, stream, { gpus, warmUp, moves: 0 }));
      }
    }
    const informed = ends === 'none' ? stream : { ...stream, declared: declaredOf(stream, seed) };
    for (const policy of extra) {
      const source = sources.source(policy, seed, stream);
      run(policy + suffix, () => simulate(source, informed, { gpus, warmUp, moves }));
    }
  }
  for (const name of [...values.policy, ...extra.map((policy) => policy + suffix)]) {
    const own = outcomes.get(name) ?? [];
    const itself = name.slice(0, -suffix.length);
    const to = [...rivals, ...(extra.includes(itself) ? [itself] : [])].filter((rival) => rival !== name);
    const mean = (of: (one: SimulationOutcome) => number): number => own.reduce((sum, one) => sum + of(one), 0) / own.length;
    const row: Row = {
      mix: mix.name,
      rho: load,
      policy: name,
      seeds,
      count: 100 * mean((one) => one.count),
      slices: 100 * mean((one) => one.units),
      used: 100 * mean((one) => one.used),
      movesPerHundred: 100 * mean((one) => one.moves / Math.max(1, one.accepted)),
      unitsMovedPerHundred: 100 * mean((one) => one.unitsMoved / Math.max(1, one.accepted)),
      differences: to.map((rival) => ({ to: rival, ...paired(own, outcomes.get(rival) ?? []) })),
      arrivals: seeds * (warmUp + measured),
      decisionsPerSecond: Math.round((1000 * seeds * (warmUp + measured)) / (times.get(name) ?? 1)),
    };
    console.log(values.json ? JSON.stringify(row) : rowText(row));
  }
}

for (const mix of values.mix.flatMap((text) => mixesOf(text, sets))) {
  const sources = sourcesOf(catalogue, mix, gpus);
  for (const rho of values.rho) measure(mix, Number(rho), sources);
  const { selections, simulated, tookMs, chosen } = sources.learning;
  if (selections === 0) continue;
  const learning = {
    mix: mix.name,
    selections,
    simulatedArrivals: simulated,
    secondsEach: Number((tookMs / selections / 1000).toFixed(2)),
  };
  if (values.json) console.log(JSON.stringify({ ...learning, chosen: Object.fromEntries(chosen) }));
  else
    console.log(
      `${mix.name}: ${selections} selections, ${simulated} simulated arrivals, ${learning.secondsEach} s each; chosen ${[...chosen].map(([name, times]) => `${name} ${times}`).join(', ')}`,
    );
}
