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
  return `${what}|${model ?? ''}|${cpuMilli}|${memoryMiB}|${where}`;
}

function sorted(labels: Constraints['nodeLabels']): readonly (readonly [string, string])[] {
  return Object.entries(labels ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
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

/** What was asked for lately: the demand that placement keeps room for. */
export class Asked {
  readonly #counts = new Map<string, AskedCount>();
  /** Submissions counted. */
  total = 0;

  /** Counts one more submission; the answer takes it back. */
  add(facts: AskFacts): () => void {
    const key = askKey(facts);
    const before = this.#counts.get(key);
    this.total += 1;
    this.#counts.set(key, { facts, weight: 1 + (before === undefined ? 0 : this.#weightNow(before)), at: this.total });
    return () => {
      this.total -= 1;
      if (before === undefined) this.#counts.delete(key);
      else this.#counts.set(key, before);
    };
  }

  /** Each ask with its part of all, 0 to 1. */
  parts(): readonly { readonly facts: AskFacts; readonly part: number }[] {
    const weighed = [...this.#counts.values()].map((count) => ({ facts: count.facts, weight: this.#weightNow(count) }));
    const sum = weighed.reduce((total, { weight }) => total + weight, 0);
    return weighed.map(({ facts, weight }) => ({ facts, part: weight / sum })).filter(({ part }) => part > partMin);
  }

  /** All that is counted, to be counted again elsewhere with {@link restore}. */
  counts(): readonly AskedCount[] {
    return [...this.#counts.values()];
  }

  restore(total: number, counts: readonly AskedCount[]): void {
    this.total = total;
    this.#counts.clear();
    for (const count of counts) this.#counts.set(askKey(count.facts), count);
  }

  #weightNow({ weight, at }: AskedCount): number {
    return weight * 2 ** ((at - this.total) / halfLife);
  }
}
