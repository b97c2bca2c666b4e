import type { Constraints, WorkloadRecord } from '../../cluster/records.ts';
import { nodeViews } from '../node-view.ts';
import type { Candidate, RelaxedTerms } from '../remedy.ts';
import { changedAsk, fitsAfter, type Trial } from '../trial.ts';
import { counted, listed, verb } from '../words.ts';

/** Alternatives that are told. */
const toldMax = 2;
/** Kinds of taints that are tried. */
const taintsMax = 16;

interface Relaxed {
  readonly terms: RelaxedTerms;
  readonly text: string;
  readonly change: (record: WorkloadRecord) => WorkloadRecord;
}

/** What it insists on and could give up, one thing at a time, and the taints it could put up with. */
export function relax(trial: Trial): readonly Candidate[] {
  const found: Candidate[] = [];
  for (const { terms, text, change } of waysFor(trial)) {
    const changes = changedAsk(trial, change);
    if (!fitsAfter(trial, changes)) continue;
    found.push({ remedy: { kind: 'relax', terms, text: `fits ${text}` }, changes });
    if (found.length >= toldMax) break;
  }
  return found;
}

function waysFor(trial: Trial): readonly Relaxed[] {
  const { constraints, model, interruptible } = trial.workload;
  const { nodeLabels, together, apart } = constraints ?? {};
  const labels = Object.entries(nodeLabels ?? {});
  const localities = [...(together ?? []), ...(apart === undefined ? [] : [apart])].filter(({ required }) => required);
  return [
    ...labels.map(
      ([key, value]): Relaxed => ({
        terms: { labels: [key] },
        text: `without the node label ${key}=${value}`,
        change: constrained((own) => ({
          ...own,
          nodeLabels: Object.fromEntries(Object.entries(own.nodeLabels ?? {}).filter(([name]) => name !== key)),
        })),
      }),
    ),
    ...toleratingWays(trial),
    ...localities.map(
      ({ level }): Relaxed => ({
        terms: { localities: [level] },
        text: `if it only prefers, and does not insist on, the same ${level}`.replace(
          'the same',
          apart?.level === level && apart.required ? 'different' : 'the same',
        ),
        change: constrained((own) => ({
          ...own,
          together: own.together?.map((wish) => (wish.level === level ? { ...wish, required: false } : wish)),
          apart: own.apart?.level === level ? { ...own.apart, required: false } : own.apart,
        })),
      }),
    ),
    ...(model === undefined
      ? []
      : [
          {
            terms: { model },
            text: `on a GPU of another model than ${model}`,
            change: (record: WorkloadRecord) => ({ ...record, model: undefined }),
          },
        ]),
    ...(trial.obstacle !== 'guarantee' || interruptible !== undefined
      ? []
      : [
          {
            terms: { interruptible: true },
            text: 'if it may be interrupted when others ask for what is guaranteed to them',
            change: (record: WorkloadRecord) => ({ ...record, interruptible: 'restart' as const }),
          },
        ]),
    ...(labels.length < 2 ? [] : [withoutLabels(labels.map(([key]) => key))]),
  ];
}

function withoutLabels(keys: readonly string[]): Relaxed {
  return {
    terms: { labels: keys },
    text: `without the node labels ${listed(keys, 'and')}`,
    change: constrained((own) => ({ ...own, nodeLabels: undefined })),
  };
}

function constrained(change: (own: Constraints) => Constraints): (record: WorkloadRecord) => WorkloadRecord {
  return (record) => ({ ...record, constraints: change(record.constraints ?? {}) });
}

/** The taints of one node after the other, the fewest first: all of a node's have to be tolerated. */
function toleratingWays({ cluster, workload }: Trial): readonly Relaxed[] {
  const known = workload.constraints?.tolerations ?? [];
  const sets = new Map<string, readonly string[]>();
  for (const { closed, record } of nodeViews(cluster)) {
    if (closed !== undefined) continue;
    const minded = record?.taints?.filter((taint) => !known.some((one) => one === taint || one === taint.split('=', 1)[0])) ?? [];
    if (minded.length > 0) sets.set(minded.toSorted().join(), minded.toSorted());
  }
  return [...sets.values()]
    .sort((a, b) => a.length - b.length || (a.join() < b.join() ? -1 : 1))
    .slice(0, taintsMax)
    .map((taints) => ({
      terms: { tolerate: taints },
      text: `with ${counted(taints.length, 'toleration')} more: of the ${verb(taints, 'taint', 'taints')} ${listed(taints, 'and')}`,
      change: constrained((own) => ({ ...own, tolerations: [...(own.tolerations ?? []), ...taints] })),
    }));
}
