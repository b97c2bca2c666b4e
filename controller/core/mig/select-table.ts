// Choosing the rule for a mix: candidates are tried on the same simulated arrivals, and the best one is taken. The
// published rules are among them, so what is chosen was seen to do no worse. Meant to run beside the decisions.
import { churn, drawArrivals } from './churn.ts';
import { learnt } from './learnt-potentials.ts';
import { blended, smoothedByDepartures, unusableFree } from './potential.ts';
import { tightestAmongEqual } from './set-table.ts';
import { byPotential, publishedRules, type Rule, standingRule } from './standing-rules.ts';
import type { WindowSets } from './window-sets.ts';

export interface SelectionSetting {
  /** In the simulated cluster. */
  readonly gpus: number;
  /** What is asked for over what there is; every candidate is tried at each. */
  readonly loads: readonly number[];
  /** In each simulated run; the first sixth fills the cluster. */
  readonly arrivals: number;
  /** Iterations of each learning; 0 leaves learnt potentials out. */
  readonly learning: number;
  /** Rounds of trials: how many candidates are left in, and how many runs at each load they get. */
  readonly rounds: readonly { readonly keep: number; readonly runs: number }[];
}

export const selectionDefaults: SelectionSetting = {
  gpus: 100,
  loads: [0.85, 1, 1.2],
  arrivals: 24_000,
  learning: 40,
  rounds: [
    { keep: 32, runs: 1 },
    { keep: 8, runs: 2 },
    { keep: 4, runs: 5 },
  ],
};

export interface Selection {
  readonly rule: Rule;
  /** By how much it did better than the better of the published rules, in percentage points; see {@link scoreOf}. */
  readonly score: number;
  /** Arrivals of the trials; what the learning took comes on top. */
  readonly simulated: number;
}

/** What a rule reached, at one load: shares of what was asked for, summed over runs. */
interface Tally {
  count: number;
  units: number;
  runs: number;
}

/** Against these a candidate has to stand, by both measures. */
const rivals = ['fragu', 'bf-mcc'];

/**
 * Yields after each piece of work (a simulated run, a pass over the sets), so that whoever drives it can do something else in between.
 *
 * @param weights of the kinds, any positive unit.
 * @param random 0 to 1, 1 excluded.
 */
export function* selectRule(
  sets: WindowSets,
  weights: readonly number[],
  setting: SelectionSetting,
  random: () => number,
): Generator<undefined, Selection> {
  const candidates = candidatesOf(sets, weights, yield* learnt(sets, weights, setting, random));
  let simulated = 0;
  const tallies = new Map(candidates.map((rule) => [rule, setting.loads.map((): Tally => ({ count: 0, units: 0, runs: 0 }))]));
  const isRival = (rule: Rule): boolean => rivals.includes(rule.name);
  const scores = (): Map<Rule, number> => {
    const bars = candidates.filter(isRival).map((rule) => tallies.get(rule) ?? []);
    return new Map(candidates.map((rule) => [rule, scoreOf(tallies.get(rule) ?? [], bars)]));
  };
  let left: readonly Rule[] = candidates;
  for (const { keep, runs } of setting.rounds) {
    const known = scores();
    const ranked = left.toSorted((a, b) => (known.get(b) ?? 0) - (known.get(a) ?? 0));
    left = ranked.filter((rule, rank) => rank < keep || isRival(rule));
    for (let run = 0; run < runs; run += 1) {
      for (const [at, load] of setting.loads.entries()) {
        const arrivals = drawArrivals(sets, { count: setting.arrivals, gpus: setting.gpus, load, weights }, random);
        for (const rule of left) {
          const outcome = churn(rule.table, arrivals, { gpus: setting.gpus, warmUp: Math.floor(setting.arrivals / 6) });
          const tally = tallies.get(rule)?.[at];
          if (tally !== undefined) {
            tally.count += outcome.count;
            tally.units += outcome.units;
            tally.runs += 1;
          }
          simulated += setting.arrivals;
          yield;
        }
      }
    }
  }
  const known = scores();
  const best = left.toSorted((a, b) => (known.get(b) ?? 0) - (known.get(a) ?? 0))[0] ?? standingRule(sets);
  return { rule: best, score: known.get(best) ?? 0, simulated };
}

/**
 * The mean over the loads of what is won over the better rival, requests and units alike, the one that wins less
 * counted once more: a gain in one is not bought with the other. A loss anywhere is taken off again, doubled.
 */
function scoreOf(tallies: readonly Tally[], bars: readonly (readonly Tally[])[]): number {
  let score = 0;
  let worst = 0;
  for (const [at, { count, units, runs }] of tallies.entries()) {
    if (runs === 0) return 0;
    const bar = (of: (tally: Tally) => number): number =>
      Math.max(...bars.map((own) => (own[at] === undefined ? 0 : of(own[at]) / Math.max(1, own[at].runs))));
    const moreCount = count / runs - bar((tally) => tally.count);
    const moreUnits = units / runs - bar((tally) => tally.units);
    const less = Math.min(moreCount, moreUnits);
    score += (moreCount + moreUnits) / 2 + less / 2;
    worst = Math.min(worst, less);
  }
  return 100 * (score / Math.max(1, tallies.length) + 2 * worst);
}

function candidatesOf(sets: WindowSets, weights: readonly number[], learnings: readonly Rule[]): readonly Rule[] {
  const even = unusableFree(sets);
  const smooth = smoothedByDepartures(sets, even, 10);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const halfway = weights.map((weight) => weight / total + 1 / weights.length);
  return [
    ...['fragu', 'bf-mcc', 'fragu-bf', 'fragu-w10'].flatMap((name) => publishedRules[name]?.(sets) ?? []),
    { name: 'fragu-w10-bf', table: tightestAmongEqual(sets, smooth), potential: smooth },
    byPotential('fragu-w3', sets, smoothedByDepartures(sets, even, 3)),
    byPotential('fragu-w30', sets, smoothedByDepartures(sets, even, 30)),
    byPotential('half-mix-w10', sets, smoothedByDepartures(sets, unusableFree(sets, halfway), 10)),
    byPotential('mix-w10', sets, smoothedByDepartures(sets, unusableFree(sets, weights), 10)),
    ...learnings,
    ...learnings.flatMap((rule) => [
      ...[0.5, 1, 3].map((times) => byPotential(`${rule.name}+${times}w10`, sets, blended(rule.potential, smooth, times))),
      byPotential(`${rule.name}-w10`, sets, smoothedByDepartures(sets, rule.potential, 10)),
    ]),
  ];
}
