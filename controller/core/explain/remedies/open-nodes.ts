import type { NodeRecord } from '../../cluster/records.ts';
import { type NodeView, nodeViews } from '../node-view.ts';
import type { Candidate } from '../remedy.ts';
import { smallestSet } from '../smallest-set.ts';
import { type Changes, fitsAfter, placesOn, type Trial } from '../trial.ts';
import { counted, shortened, verb } from '../words.ts';

const namesMax = 8;
/** Alternatives that are told. */
const setsMax = 2;

/** Cordoned nodes that could take it if they were not: the fewest, several together where a gang needs them. */
export function openNodes(trial: Trial): readonly Candidate[] {
  const closed = nodeViews(trial.cluster)
    .filter((view): view is NodeView & { readonly record: NodeRecord } => view.closed === 'NodeCordoned')
    .map((view) => ({ view, record: view.record, places: placesOn({ ...view, closed: undefined }, trial.workload) }))
    .filter(({ places }) => places > 0)
    .sort((a, b) => b.places - a.places || (a.view.node.name < b.view.node.name ? -1 : 1));
  const found: Candidate[] = [];
  for (let left = closed; found.length < setsMax; ) {
    const set = smallestSet(left, (some) => fitsAfter(trial, uncordon(some.map(({ record }) => record))));
    if (set === undefined) break;
    const nodes = set.map(({ record }) => record.name);
    const gpus = set.reduce((sum, { view }) => sum + view.node.gpus.length, 0);
    const what = `${verb(nodes, 'node', 'nodes')} ${shortened(nodes, namesMax)}`;
    const size = gpus === 0 ? '' : ` (${counted(gpus, 'GPU')})`;
    const text = `fits if ${what} ${verb(nodes, 'is', 'are')} uncordoned${size}`;
    found.push({ remedy: { kind: 'uncordon', nodes, gpus, text }, changes: uncordon(set.map(({ record }) => record)) });
    if (set.length > 1) break;
    left = left.filter((one) => !set.includes(one));
  }
  return found;
}

function uncordon(records: readonly NodeRecord[]): Changes {
  return records.map((record) => ({ kind: 'node', record: { ...record, cordoned: false } }));
}
