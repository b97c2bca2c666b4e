import type { NodeName } from '@astrago/shared/domain/ids';
import type { ObservedNode } from '../../cluster/observed.ts';
import { type Mending, mendable, mended } from '../ailments.ts';
import type { AilingThing, Candidate } from '../remedy.ts';
import { smallestSet } from '../smallest-set.ts';
import { type Changes, fitsAfter, type Trial } from '../trial.ts';
import { listed, verb } from '../words.ts';

/** Alternatives that are told. */
const setsMax = 3;
/** Of more ailing GPUs and nodes than this only the first are tried. */
const thingsMax = 64;

/** The fewest GPUs and nodes that would have to be well again. */
export function mend(trial: Trial): readonly Candidate[] {
  const found: Candidate[] = [];
  for (let left = mendable(trial.cluster, trial.workload.model).slice(0, thingsMax); found.length < setsMax; ) {
    const set = smallestSet(left, (some) => fitsAfter(trial, mendedNodes(trial, some)));
    if (set === undefined) break;
    const things: readonly AilingThing[] = set.map(({ node, gpu, conditions }) => ({
      node,
      ...(gpu === undefined ? {} : { gpu }),
      conditions,
    }));
    const text = `fits if ${clauses(set)}`;
    found.push({ remedy: { kind: 'mend', things, text }, changes: mendedNodes(trial, set) });
    if (set.length > 1) break;
    left = left.filter((one) => !set.includes(one));
  }
  return found;
}

function clauses(mendings: readonly Mending[]): string {
  const names = (some: readonly Mending[]): string =>
    listed(
      some.map(({ text }) => text),
      'and',
    );
  const silent = mendings.filter(({ conditions }) => conditions.length === 0);
  const ailing = mendings.filter(({ conditions }) => conditions.length > 0);
  return [
    ...(silent.length === 0 ? [] : [`${names(silent)} ${verb(silent, 'answers', 'answer')} again`]),
    ...(ailing.length === 0 ? [] : [`${names(ailing)} ${verb(ailing, 'is', 'are')} mended`]),
  ].join(' and ');
}

/** A node is reported whole, so all that is mended on it is one change. */
function mendedNodes({ cluster }: Trial, mendings: readonly Mending[]): Changes {
  const nodes = new Map<NodeName, ObservedNode>();
  for (const mending of mendings) {
    const node = nodes.get(mending.node) ?? cluster.observed.get(mending.node);
    if (node !== undefined) nodes.set(mending.node, mended(node, mending));
  }
  return [...nodes.values()].map((node) => ({ kind: 'observed-node', node }));
}
