// What places: a fixed table, or one that is learnt on the way.

import { seededRandom } from '@astrago/controller/core/cluster/sample-random';
import type { LayoutCatalogue } from '@astrago/controller/core/mig/layout-catalogue';
import { learnt } from '@astrago/controller/core/mig/learnt-potentials';
import { MixEstimate, weightsByKind } from '@astrago/controller/core/mig/mix-estimate';
import { type PlacementTable, placementTableOf } from '@astrago/controller/core/mig/placement-table';
import { type Selection, selectionDefaults, selectRule } from '@astrago/controller/core/mig/select-table';
import { publishedRules, standingRule } from '@astrago/controller/core/mig/standing-rules';
import type { NamedMix } from './mixes.ts';
import type { Stream, TableSource } from './simulate.ts';

export const policyNames = [...Object.keys(publishedRules), 'mf', 'astrago', 'pool'];

export interface Learning {
  selections: number;
  simulated: number;
  tookMs: number;
  readonly chosen: Map<string, number>;
}

/** Sources of one mix; what was learnt for a seed is kept, since the kinds that arrive are the same at every load. */
export function sourcesOf(
  catalogue: LayoutCatalogue,
  mix: NamedMix,
  gpus: number,
): { readonly source: (policy: string, seed: number, stream: Stream) => TableSource; readonly learning: Learning } {
  const { sets } = catalogue;
  const fixed = new Map<string, PlacementTable>();
  const learned = new Map<number, readonly (readonly [from: number, table: PlacementTable])[]>();
  const learning: Learning = { selections: 0, simulated: 0, tookMs: 0, chosen: new Map() };

  const fixedTable = (policy: string): PlacementTable => {
    let table = fixed.get(policy);
    if (table === undefined) {
      const rule = policy === 'mf' ? meanFieldRule() : publishedRules[policy]?.(sets);
      if (rule === undefined) throw new Error(`there is no policy ${policy}; there are ${policyNames.join(', ')}`);
      table = placementTableOf(catalogue, rule);
      fixed.set(policy, table);
    }
    return table;
  };

  const meanFieldRule = () => {
    const setting = { gpus, arrivals: selectionDefaults.arrivals, learning: 60 };
    const [first] = finish(learnt(sets, mix.weights, setting, seededRandom(3_000_000)));
    if (first === undefined) throw new Error('nothing was learnt');
    return first;
  };

  const select = (weights: readonly number[], seed: number): Selection => {
    const startMs = performance.now();
    const selection = finish(selectRule(sets, weights, { ...selectionDefaults, gpus }, seededRandom(5_000_000 + seed)));
    learning.selections += 1;
    learning.simulated += selection.simulated;
    learning.tookMs += performance.now() - startMs;
    learning.chosen.set(selection.rule.name, (learning.chosen.get(selection.rule.name) ?? 0) + 1);
    return selection;
  };

  /** The standing rule, and from where the mix is known, or has become another one, a rule chosen for it. */
  const learnedTables = (seed: number, stream: Stream): readonly (readonly [from: number, table: PlacementTable])[] => {
    const known = learned.get(seed);
    if (known !== undefined) return known;
    const tables: (readonly [number, PlacementTable])[] = [[0, placementTableOf(catalogue, standingRule(sets))]];
    const estimate = new MixEstimate();
    let basis: ReturnType<MixEstimate['mix']>;
    for (let at = 0; at < stream.kinds.length; at += 1) {
      const profile = stream.profiles[stream.kinds[at] ?? 0];
      if (profile !== undefined) estimate.asked(profile);
      if (basis !== undefined && (at % 250 !== 0 || !estimate.hasDriftedFrom(basis))) continue;
      const mixNow = estimate.mix();
      if (mixNow === undefined) continue;
      basis = mixNow;
      tables.push([at + 1, placementTableOf(catalogue, select(weightsByKind(catalogue, mixNow), seed).rule)]);
    }
    learned.set(seed, tables);
    return tables;
  };

  return {
    learning,
    source(policy, seed, stream) {
      if (policy !== 'astrago') {
        const table = fixedTable(policy);
        return () => table;
      }
      const tables = learnedTables(seed, stream);
      let next = 0;
      let table = fixedTable('fragu-w10');
      return (arrival) => {
        for (; next < tables.length && (tables[next]?.[0] ?? 0) <= arrival; next += 1) table = tables[next]?.[1] ?? table;
        return table;
      };
    },
  };
}

function finish<Result>(work: Generator<undefined, Result>): Result {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}
