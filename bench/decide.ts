// Decisions a second in a large cluster. Protocol: nodes of GPUS H100 with 16 cores and 96 GiB a GPU; work drawn from MIX
// arrives until nine tenths of the GPUs are held; then, round after round, work chosen at random ends until BATCH
// workloads bring the load to 0.9 again, these arrive, and `decide` looks at the queue, which is committed as the
// schedule loop does it. Every workload is looked at under the limit of its workspace. A decision is a workload that was
// placed; those that wait are looked at again in every round, and are not counted. Rates are of the CPU of the one thread
// that decides, and once by the clock; how long a round takes is by the clock.
//
//   ./astrago bench decide [--nodes 1000,5000,10000] [--gpus-per-node 8] [--mix openb|mig|both] [--pods FILE]
//                          [--policy P] [--batches 1,32,1000] [--seconds 5] [--seed 7] [--json]
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { seededRandom } from '@astrago/controller/core/cluster/sample-random';
import type { PlacementPolicy } from '@astrago/controller/core/placement/policy';
import { mixNames, mixOf } from './decide/mix.ts';
import { byScan } from './decide/scan.ts';
import { cpuMs, World } from './decide/world.ts';
import { policies } from './placement/policies.ts';

const { values } = parseArgs({
  options: {
    nodes: { type: 'string', default: '1000,5000,10000' },
    'gpus-per-node': { type: 'string', default: '8' },
    mix: { type: 'string', default: 'openb' },
    pods: { type: 'string' },
    policy: { type: 'string', default: 'astrago' },
    batches: { type: 'string', default: '1,32,1000' },
    seconds: { type: 'string', default: '5' },
    seed: { type: 'string', default: '7' },
    json: { type: 'boolean', default: false },
  },
});
const loadAim = 0.9;

const mixName = mixNames.find((name) => name === values.mix);
const makePolicy = policies[values.policy];
if (mixName === undefined) throw new Error(`there is no mix ${values.mix}; there are ${mixNames.join(', ')}`);
if (makePolicy === undefined) throw new Error(`there is no policy ${values.policy}; there are ${Object.keys(policies).join(', ')}`);
const mix = mixOf(mixName, values.pods);
const numbersOf = (text: string): readonly number[] => text.split(',').map(Number);
const rate = (count: number, ms: number): number => Math.round((1000 * count) / ms);
const say = (facts: Readonly<Record<string, string | number>>): void =>
  console.log(
    values.json
      ? JSON.stringify(facts)
      : Object.entries(facts)
          .map(([name, value]) => `${name} ${value}`)
          .join('  '),
  );

function measure(nodes: number): void {
  let policy: PlacementPolicy | undefined;
  let policiesMade = 0;
  const world = new World({
    nodes,
    gpusPerNode: Number(values['gpus-per-node']),
    mix,
    makePolicy: (outlook) => {
      policiesMade += 1;
      policy = makePolicy?.(outlook) as PlacementPolicy;
      return policy;
    },
    random: seededRandom(Number(values.seed)),
  });
  const fill = { placed: 0, ms: 0 };
  while (world.load < loadAim && world.cluster.queuedCount < 2000) {
    world.arrive(1000);
    const { placed, decideMs } = world.round();
    fill.placed += placed;
    fill.ms += decideMs;
  }
  say({ nodes, policy: values.policy, mix: values.mix, filledWith: fill.placed, fillPerSecond: rate(fill.placed, fill.ms) });
  for (const batch of numbersOf(values.batches)) {
    const times: number[] = [];
    const sum = { placed: 0, decideMs: 0, commitMs: 0, wallMs: 0 };
    const made = policiesMade;
    const untilMs = performance.now() + 1000 * Number(values.seconds);
    do {
      world.endDownTo(loadAim - batch * world.loadOfOne);
      world.arrive(batch);
      const { placed, decideMs, commitMs, wallMs } = world.round();
      times.push(wallMs);
      sum.wallMs += wallMs;
      sum.placed += placed;
      sum.decideMs += decideMs;
      sum.commitMs += commitMs;
    } while (performance.now() < untilMs);
    times.sort((a, b) => a - b);
    const at = (part: number): number => Number((times[Math.floor(part * (times.length - 1))] ?? Number.NaN).toFixed(3));
    say({
      ...{ nodes, batch, rounds: times.length, placed: sum.placed },
      decisionsPerSecond: rate(sum.placed, sum.decideMs),
      byTheClockPerSecond: rate(sum.placed, sum.wallMs),
      withCommitPerSecond: rate(sum.placed, sum.decideMs + sum.commitMs),
      ...{ p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) },
      ...{ load: world.load.toFixed(3), running: world.running, waiting: world.cluster.queuedCount },
      policiesMade: policiesMade - made,
      heapMiB: Math.round(process.memoryUsage().heapUsed / 2 ** 20),
      loadAverage: (loadavg()[0] ?? 0).toFixed(1),
    });
  }
  scan(world, policy, nodes);
  storm(world, nodes);
}

/** The same asks by the index and by a look at every bay. */
function scan(world: World, policy: PlacementPolicy | undefined, nodes: number): void {
  if (policy === undefined) return;
  const { scheduler } = world;
  let agreed = 0;
  const asks = Array.from({ length: 50 }, () => ({ ...world.draw(), workspace: 'w0', model: undefined }) as never);
  const times = { scanMs: 0, indexMs: 0 };
  for (const ask of asks) {
    const variants = scheduler.variantsOf(ask);
    const startMs = cpuMs();
    const scanned = byScan(scheduler.bays, variants, policy);
    const scannedMs = cpuMs();
    const found = scheduler.find(ask, variants);
    times.indexMs += cpuMs() - scannedMs;
    times.scanMs += scannedMs - startMs;
    if (found?.placement.node === scanned?.node && found?.placement.score === scanned?.score) agreed += 1;
  }
  say({ nodes, baseline: 'scan', asks: asks.length, agreed, scansPerSecond: rate(asks.length, times.scanMs) });
}

function storm(world: World, nodes: number): void {
  const reports = 10_000;
  let ms = 0;
  for (let at = 0; at < reports; at += 1) ms += world.reportAgain(at);
  const startMs = cpuMs();
  world.scheduler.bays.refresh();
  const refreshMs = cpuMs() - startMs;
  say({ nodes, inventoryReports: reports, microsecondsEach: ((1000 * ms) / reports).toFixed(1), refreshMs: refreshMs.toFixed(1) });
}

for (const nodes of numbersOf(values.nodes)) measure(nodes);
