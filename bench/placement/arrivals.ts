// How much of a cluster a policy fills where nothing ends. Protocol of the FGD paper (USENIX ATC 2023): pods arrive one
// by one in the given order and never leave; one that does not fit is dropped. The share of GPUs that is allocated is
// averaged over the arrivals at which the demand that has arrived, rounded to a percent of the GPUs, is 90, 95, 100, 130.

import { seededRandom } from '@astrago/controller/core/cluster/sample-random';
import type { OpenbNode, OpenbPods } from './openb.ts';
import { placerOf } from './policies.ts';

const points = [90, 95, 100, 130] as const;

export interface ArrivalsResult {
  readonly seed: number;
  readonly policy: string;
  readonly allocAt90: number;
  readonly allocAt95: number;
  readonly allocAt100: number;
  readonly allocAt130: number;
  readonly failed: number;
  /** GPUs that asks for several were refused, in percent of the cluster. */
  readonly refusedTogether: number;
  /** The same until as many GPUs had been asked for as there are. */
  readonly refusedTogetherAt100: number;
  readonly decisions: number;
  readonly decisionsPerSecond: number;
}

export function runArrivals(facts: {
  readonly seed: number;
  readonly policy: string;
  readonly ranked: readonly OpenbNode[];
  readonly pods: OpenbPods;
  readonly sequence: readonly number[];
  readonly learn: boolean;
}): ArrivalsResult {
  const { seed, policy, ranked, pods, sequence, learn } = facts;
  const capacity = 1000 * ranked.reduce((sum, node) => sum + node.gpus, 0);
  const startMs = performance.now();
  const placer = placerOf(policy, { ranked, demand: pods.demand, random: seededRandom(seed), learn });
  const sums = new Map<number, { sum: number; count: number }>(points.map((point) => [point, { sum: 0, count: 0 }]));
  let arrived = 0;
  let allocated = 0;
  let failed = 0;
  let refused = 0;
  let refusedAt100 = 0;
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
    const percent = Math.round((100 * arrived) / capacity);
    if (percent <= 100) refusedAt100 = refused;
    const bin = sums.get(percent);
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
    refusedTogetherAt100: Number(((100 * refusedAt100) / capacity).toFixed(3)),
    decisions: sequence.length,
    decisionsPerSecond: Math.round((1000 * sequence.length) / tookMs),
  };
}
