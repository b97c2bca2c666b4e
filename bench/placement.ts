// How well policies place work, on the nodes and pods of the openb trace, on lists that differ from it, and on lists
// that have nothing to do with it; where nothing ends and where work ends too.
//
//   ./astrago bench placement --nodes F --pods F --arrivals F --noderank F [--policy P]... [--seeds 42-51] [--json]
//   ./astrago bench placement --nodes F --pods F [--list NAME|all]... --seeds 1-6 ...   arrivals of our own
//   ./astrago bench placement --nodes F --pods F --departures --load 0.95 --seeds 1-6 ...
//
// --published NAME: the pods are those of that list of the trace, and the means have to be what was published for it.
// --learn: nothing is known of the demand beforehand, it is found out from what arrives.
import { parseArgs } from 'node:util';
import { seededRandom } from '@astrago/controller/core/cluster/sample-random';
import { type ArrivalsResult, runArrivals } from './placement/arrivals.ts';
import { type DeparturesResult, runDepartures } from './placement/departures.ts';
import { type OpenbNode, type OpenbPods, readNodes, readPods, readSequences } from './placement/openb.ts';
import { policyNames } from './placement/policies.ts';
import { unlikePublished } from './placement/published.ts';
import { inflated, shuffled } from './placement/streams.ts';
import { syntheticNames, syntheticPods } from './placement/synthetic.ts';

type Result = ArrivalsResult | DeparturesResult;

function summarise(list: string, results: readonly Result[]): string {
  const figures = (label: string, of: (result: Result) => unknown): readonly string[] => {
    const values = results.map(of).filter((value) => typeof value === 'number');
    if (values.length === 0) return [];
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, values.length - 1));
    return [`${label} ${mean.toFixed(2)} ± ${deviation.toFixed(2)}`];
  };
  const field = (label: string, name: string): readonly string[] =>
    figures(label, (result) => new Map<string, unknown>(Object.entries(result)).get(name));
  return [
    ...(list === '' ? [] : [list.padEnd(18)]),
    (results[0]?.policy ?? '').padEnd(12),
    ...field('@90', 'allocAt90'),
    ...field('@95', 'allocAt95'),
    ...field('@100', 'allocAt100'),
    ...field('@130', 'allocAt130'),
    ...field('refused together', 'refusedTogether'),
    ...field('of it @100', 'refusedTogetherAt100'),
    ...field('load', 'load'),
    ...field('refused %', 'refusedPercent'),
    ...field('together %', 'refusedTogetherPercent'),
    ...field('in use %', 'allocatedPercent'),
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
    list: { type: 'string', multiple: true },
    departures: { type: 'boolean', default: false },
    load: { type: 'string', default: '0.9' },
    learn: { type: 'boolean', default: false },
    published: { type: 'string' },
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
const given = readPods(needed('pods'), models);
const { learn } = values;
const load = Number(values.load);
if (!(load > 0)) throw new Error(`--load ${values.load}: GPUs asked for at a time, as a part of those there are`);

/** Nodes in their fixed order and rows in the order of arrival: recorded ones, or ours where no files are named. */
function streamsOf(): (seed: number, pods: OpenbPods) => { readonly ranked: readonly OpenbNode[]; readonly sequence: readonly number[] } {
  if (values.arrivals === undefined && values.noderank === undefined)
    return (seed, pods) => {
      const random = seededRandom(seed);
      const ranked = shuffled(nodes.length, random).map((at) => nodes[at] as OpenbNode);
      const gpus = nodes.reduce((sum, node) => sum + node.gpus, 0);
      return { ranked, sequence: inflated(pods, gpus, random) };
    };
  if (values.list !== undefined) throw new Error('recorded arrivals are of the pods given, not of a list');
  const arrivals = readSequences(needed('arrivals'));
  const ranks = readSequences(needed('noderank'));
  return (seed) => {
    const sequence = arrivals.get(seed);
    const rank = ranks.get(seed);
    if (sequence === undefined || rank?.length !== nodes.length)
      throw new Error(`the files have no seed ${seed} for ${nodes.length} nodes`);
    const ranked: OpenbNode[] = [];
    for (const [at, node] of nodes.entries()) ranked[rank[at] ?? 0] = node;
    return { ranked, sequence };
  };
}

const lists = values.list?.flatMap((name) => (name === 'all' ? syntheticNames : [name])) ?? [''];
const streamOf = values.departures ? undefined : streamsOf();
for (const list of lists) {
  const pods = list === '' ? given : syntheticPods(list, models.length, given);
  for (const policy of values.policy ?? ['astrago']) {
    if (!policyNames.includes(policy)) throw new Error(`there is no policy ${policy}; there are ${policyNames.join(', ')}`);
    const results = seedsOf(values.seeds).map((seed): Result => {
      const result =
        streamOf === undefined
          ? runDepartures({ seed, policy, nodes, pods, load, learn })
          : runArrivals({ seed, policy, pods, learn, ...streamOf(seed, pods) });
      if (values.json) console.log(JSON.stringify(list === '' ? result : { list, ...result }));
      return result;
    });
    if (!values.json) console.log(summarise(list, results));
    if (values.published === undefined) continue;
    const filled = results.flatMap((result) => ('allocAt100' in result ? [result.allocAt100] : []));
    const wrong = unlikePublished(values.published, policy, filled.reduce((sum, value) => sum + value, 0) / filled.length);
    if (wrong === undefined) continue;
    console.error(wrong);
    process.exitCode = 1;
  }
}
