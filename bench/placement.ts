// How much of a cluster a policy fills. Protocol of the FGD paper (USENIX ATC 2023): pods arrive one by one in the given
// order and never leave; one that does not fit is dropped. The share of GPUs that is allocated is averaged over the
// arrivals at which the demand that has arrived, rounded to a percent of the GPUs, is 90, 95, 100 and 130.
//
//   ./astrago bench placement --nodes F --pods F --arrivals F --noderank F [--policy P]... [--seeds 42-51] [--json]
import { parseArgs } from 'node:util';
import { type OpenbNode, type OpenbPods, readNodes, readPods, readSequences } from './placement/openb.ts';
import { placerOf, policyNames } from './placement/policies.ts';
import { seededRandom } from './placement/seeded-random.ts';

const points = [90, 95, 100, 130] as const;

interface SeedResult {
  readonly seed: number;
  readonly policy: string;
  readonly allocAt90: number;
  readonly allocAt95: number;
  readonly allocAt100: number;
  readonly allocAt130: number;
  readonly failed: number;
  /** GPUs that asks for several were refused, in percent of the cluster. */
  readonly refusedTogether: number;
  readonly decisions: number;
  readonly decisionsPerSecond: number;
}

function runSeed(facts: {
  readonly seed: number;
  readonly policy: string;
  readonly ranked: readonly OpenbNode[];
  readonly pods: OpenbPods;
  readonly sequence: readonly number[];
}): SeedResult {
  const { seed, policy, ranked, pods, sequence } = facts;
  const capacity = 1000 * ranked.reduce((sum, node) => sum + node.gpus, 0);
  const startMs = performance.now();
  const placer = placerOf(policy, ranked, pods.demand, seededRandom(seed));
  const sums = new Map<number, { sum: number; count: number }>(points.map((point) => [point, { sum: 0, count: 0 }]));
  let arrived = 0;
  let allocated = 0;
  let failed = 0;
  let refused = 0;
  for (const row of sequence) {
    const ask = pods.classOf[row];
    if (ask === undefined) throw new Error(`the arrivals of seed ${seed} name pod ${row}, and there are ${pods.classOf.length}`);
    const milli = ask.gpus * ask.milli;
    arrived += milli;
    if (placer.place(ask) !== undefined) allocated += milli;
    else {
      failed += 1;
      if (ask.gpus > 1) refused += milli;
    }
    const bin = sums.get(Math.round((100 * arrived) / capacity));
    if (bin !== undefined) {
      bin.sum += Math.round((10_000 * allocated) / capacity) / 100;
      bin.count += 1;
    }
  }
  const tookMs = performance.now() - startMs;
  const at = (point: number): number => {
    const { sum, count } = sums.get(point) ?? { sum: 0, count: 0 };
    return count === 0 ? Number.NaN : Number((sum / count).toFixed(3));
  };
  return {
    seed,
    policy,
    allocAt90: at(90),
    allocAt95: at(95),
    allocAt100: at(100),
    allocAt130: at(130),
    failed,
    refusedTogether: Number(((100 * refused) / capacity).toFixed(3)),
    decisions: sequence.length,
    decisionsPerSecond: Math.round((1000 * sequence.length) / tookMs),
  };
}

function summarise(results: readonly SeedResult[]): string {
  const figures = (of: (result: SeedResult) => number): string => {
    const values = results.map(of);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, values.length - 1));
    return `${mean.toFixed(2)} ± ${deviation.toFixed(2)}`;
  };
  return [
    (results[0]?.policy ?? '').padEnd(12),
    `@90 ${figures((one) => one.allocAt90)}`,
    `@95 ${figures((one) => one.allocAt95)}`,
    `@100 ${figures((one) => one.allocAt100)}`,
    `@130 ${figures((one) => one.allocAt130)}`,
    `refused together ${figures((one) => one.refusedTogether)}`,
    `${Math.round(results.reduce((sum, one) => sum + one.decisionsPerSecond, 0) / results.length)} decisions/s`,
  ].join('  ');
}

/** `42-51`, `42,45`, or both. */
function seedsOf(text: string): readonly number[] {
  return text.split(',').flatMap((part) => {
    const [first = Number.NaN, last = first] = part.split('-').map(Number);
    if (!Number.isInteger(first) || !Number.isInteger(last) || last < first)
      throw new Error(`--seeds ${text}: write them as 42-51 or 42,45`);
    return Array.from({ length: last - first + 1 }, (_, at) => first + at);
  });
}

const { values } = parseArgs({
  options: {
    nodes: { type: 'string' },
    pods: { type: 'string' },
    arrivals: { type: 'string' },
    noderank: { type: 'string' },
    policy: { type: 'string', multiple: true },
    seeds: { type: 'string', default: '42-51' },
    json: { type: 'boolean', default: false },
  },
});
const needed = (name: 'nodes' | 'pods' | 'arrivals' | 'noderank'): string => {
  const value = values[name];
  if (value === undefined) throw new Error(`say --${name} FILE`);
  return value;
};

const { nodes, models } = readNodes(needed('nodes'));
const pods = readPods(needed('pods'), models);
const arrivals = readSequences(needed('arrivals'));
const ranks = readSequences(needed('noderank'));
for (const policy of values.policy ?? ['astrago']) {
  if (!policyNames.includes(policy)) throw new Error(`there is no policy ${policy}; there are ${policyNames.join(', ')}`);
  const results = seedsOf(values.seeds).map((seed) => {
    const sequence = arrivals.get(seed);
    const rank = ranks.get(seed);
    if (sequence === undefined || rank?.length !== nodes.length)
      throw new Error(`the files have no seed ${seed} for ${nodes.length} nodes`);
    const ranked: OpenbNode[] = [];
    for (const [at, node] of nodes.entries()) ranked[rank[at] ?? 0] = node;
    const result = runSeed({ seed, policy, ranked, pods, sequence });
    if (values.json) console.log(JSON.stringify(result));
    return result;
  });
  if (!values.json) console.log(summarise(results));
}
