import type { Constraints, GpuAsk, WorkloadRecord } from './records.ts';

/** All of a workload that says where it could go. */
export interface AskFacts {
  readonly ask: GpuAsk;
  readonly model: string | undefined;
  readonly cpuMilli: number;
  readonly memoryMiB: number;
  readonly nodeLabels: Constraints['nodeLabels'];
  readonly tolerations: Constraints['tolerations'];
}

export function askFacts({
  ask,
  model,
  cpuMilli,
  memoryMiB,
  constraints,
}: Omit<AskFacts, 'nodeLabels' | 'tolerations'> & Pick<WorkloadRecord, 'constraints'>): AskFacts {
  return { ask, model, cpuMilli, memoryMiB, nodeLabels: constraints?.nodeLabels, tolerations: constraints?.tolerations };
}

const keys = new WeakMap<object, string>();

/** {@link askKey} of a workload, found once for each record. */
export function askKeyOf(ask: Parameters<typeof askFacts>[0]): string {
  const known = keys.get(ask);
  if (known !== undefined) return known;
  const key = askKey(askFacts(ask));
  keys.set(ask, key);
  return key;
}

/** Equal for asks that every node takes alike. */
export function askKey(facts: AskFacts): string {
  const { ask, model, cpuMilli, memoryMiB, nodeLabels, tolerations } = facts;
  const what =
    ask.kind === 'none'
      ? ''
      : ask.kind === 'whole'
        ? ask.count
        : ask.kind === 'slice'
          ? `${ask.count ?? 1}*${ask.profile}`
          : ask.kind === 'least'
            ? `${ask.count}*>=${ask.memoryMiB}/${ask.computeSlices}`
            : `${ask.by}:${ask.milli}/${ask.memoryMiB ?? ''}`;
  const where = nodeLabels === undefined && tolerations === undefined ? '' : JSON.stringify([sorted(nodeLabels), tolerations?.toSorted()]);
  return `${what}|${cpuMilli}|${memoryMiB}|${model === undefined ? '' : JSON.stringify(model)}|${where}`;
}

function sorted(labels: Constraints['nodeLabels']): readonly (readonly [string, string])[] {
  return Object.entries(labels ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
}

export interface AskPart {
  readonly key: string;
  readonly facts: AskFacts;
  readonly part: number;
}

export interface AskedCount {
  readonly facts: AskFacts;
  /** As of the submission with this number. */
  readonly weight: number;
  readonly at: number;
}

/** Of so many submissions back one counts half. */
const halfLife = 4000;
/** What is left of one that is not worth looking at any more. */
const partMin = 1e-6;

/** Of so many submissions back one counts half when it is asked whether what is there makes room for what comes. */
const turnoverHalfLife = 700;
/** Until there were as many submissions as this, little is made of an end. */
const doubt = 100;

/** What was asked for lately: the demand that placement keeps room for. */
export class Asked {
  readonly #counts = new Map<string, AskedCount>();
  /** Submissions counted. */
  total = 0;
  #ends = { weight: 0, at: 0 };
  #labelKeys: readonly string[] = [];

  /** Counts one more submission; the answer takes it back. */
  add(ask: Parameters<typeof askFacts>[0]): () => void {
    const key = askKeyOf(ask);
    const facts = askFacts(ask);
    const before = this.#counts.get(key);
    const labelKeys = this.#labelKeys;
    const fresh = Object.keys(facts.nodeLabels ?? {}).filter((label) => !labelKeys.includes(label));
    if (fresh.length > 0) this.#labelKeys = [...labelKeys, ...fresh];
    this.total += 1;
    this.#counts.set(key, { facts, weight: 1 + (before === undefined ? 0 : this.#weightNow(before)), at: this.total });
    return () => {
      this.#labelKeys = labelKeys;
      this.total -= 1;
      if (before === undefined) this.#counts.delete(key);
      else this.#counts.set(key, before);
    };
  }

  /** Of nodes, that anybody has insisted on. */
  get labelKeys(): readonly string[] {
    return this.#labelKeys;
  }

  /** Counts what ended and gave back GPUs; the answer takes it back. */
  end(): () => void {
    const before = this.#ends;
    this.#ends = { weight: 1 + this.#endsNow(), at: this.total };
    return () => {
      this.#ends = before;
    };
  }

  /** 0 where next to nothing ends, 1 where at least half as much ends as is submitted; in quarters. */
  get turnover(): number {
    const submissions = (1 - 2 ** (-this.total / turnoverHalfLife)) / (1 - 2 ** (-1 / turnoverHalfLife));
    const exact = (2 * this.#endsNow()) / Math.max(submissions, doubt);
    return Math.round(4 * Math.min(1, exact)) / 4;
  }

  #endsNow(): number {
    return this.#ends.weight * 2 ** ((this.#ends.at - this.total) / turnoverHalfLife);
  }

  /** Each ask with its part of all, 0 to 1. */
  parts(): readonly AskPart[] {
    const weighed = [...this.#counts].map(([key, count]) => ({ key, facts: count.facts, weight: this.#weightNow(count) }));
    const sum = weighed.reduce((total, { weight }) => total + weight, 0);
    const parts = weighed.map(({ key, facts, weight }) => ({ key, facts, part: weight / sum }));
    // In an order of their own: which came first is no matter.
    return parts.filter(({ part }) => part > partMin).sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** All that is counted, to be counted again elsewhere with {@link restore}. */
  counts(): readonly AskedCount[] {
    return [...this.#counts.values()];
  }

  /** What has ended, as of the submission with a number. */
  get ends(): { readonly weight: number; readonly at: number } {
    return this.#ends;
  }

  restore(total: number, counts: readonly AskedCount[], ends: { readonly weight: number; readonly at: number }): void {
    this.total = total;
    this.#ends = ends;
    this.#counts.clear();
    for (const count of counts) this.#counts.set(askKey(count.facts), count);
    this.#labelKeys = [...new Set(counts.flatMap(({ facts }) => Object.keys(facts.nodeLabels ?? {})))];
  }

  #weightNow({ weight, at }: AskedCount): number {
    return weight * 2 ** ((at - this.total) / halfLife);
  }
}
