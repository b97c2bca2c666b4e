import { type AskClass, allows, isShare } from './demand.ts';
import type { PlacementPolicy } from './policy.ts';
import type { Shape } from './shape.ts';

type Scratch = { -readonly [K in keyof Shape]: Shape[K] };

/**
 * The best score among `outcomes(shape, ask, policy)`, without making them: shapes are judged far more often than they
 * are chosen. The shape that the policy is shown as the one afterwards is used again for the next.
 */
export class BestScore {
  readonly #policy: PlacementPolicy;
  readonly #after: Scratch = {
    ...{ pool: 0, cpuMilli: 0, memoryMiB: 0, gpus: new Uint16Array(0), others: undefined, uncuttable: 0, marks: 0, worth: Number.NaN },
  };
  /** By length. */
  readonly #lists: Uint16Array[] = [];

  constructor(policy: PlacementPolicy) {
    this.#policy = policy;
  }

  /** `undefined` where it does not fit. */
  of(shape: Shape, ask: AskClass): number | undefined {
    if (shape.cpuMilli < ask.cpuMilli || shape.memoryMiB < ask.memoryMiB || !allows(ask, shape.pool)) return undefined;
    if (ask.gpus > 0 && (shape.gpus[ask.gpus - 1] ?? 0) < ask.milli) return undefined;
    const policy = this.#policy;
    const after = this.#after;
    const { gpus } = shape;
    after.pool = shape.pool;
    after.cpuMilli = shape.cpuMilli - ask.cpuMilli;
    after.memoryMiB = shape.memoryMiB - ask.memoryMiB;
    after.others = shape.others;
    after.uncuttable = shape.uncuttable;
    after.marks = policy.mark === undefined ? shape.marks : policy.mark(shape.marks, ask);
    after.worth = Number.NaN;
    after.gpus = gpus;
    if (ask.gpus === 0) return policy.score(shape, after, ask);
    const list = this.#listOf(gpus.length);
    after.gpus = list;
    if (!isShare(ask)) {
      const kept = gpus.length - ask.gpus;
      for (let at = 0; at < kept; at += 1) list[at] = gpus[at + ask.gpus] ?? 0;
      list.fill(0, kept);
      return policy.score(shape, after, ask);
    }
    let best: number | undefined;
    let last: number | undefined;
    for (let at = gpus.length - 1; at >= 0; at -= 1) {
      const milli = gpus[at] ?? 0;
      if (milli < ask.milli || milli === last) continue;
      last = milli;
      takeFrom(gpus, at, milli - ask.milli, list);
      after.worth = Number.NaN;
      const score = policy.score(shape, after, ask);
      if (best === undefined || score > best) best = score;
      if (policy.gpuChoice === 'tightest') break;
    }
    return best;
  }

  #listOf(length: number): Uint16Array {
    const known = this.#lists[length];
    if (known !== undefined) return known;
    const made = new Uint16Array(length);
    this.#lists[length] = made;
    return made;
  }
}

/** Writes to `into` the list with the entry at `from` changed to `left`, which is less; sorted again. */
function takeFrom(gpus: Uint16Array, from: number, left: number, into: Uint16Array): void {
  let at = 0;
  for (; at < from; at += 1) into[at] = gpus[at] ?? 0;
  for (; at + 1 < gpus.length && (gpus[at + 1] ?? 0) > left; at += 1) into[at] = gpus[at + 1] ?? 0;
  into[at] = left;
  for (at += 1; at < gpus.length; at += 1) into[at] = gpus[at] ?? 0;
}
