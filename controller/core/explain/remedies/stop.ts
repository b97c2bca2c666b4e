import type { AllocationRecord, WorkloadRecord } from '../../cluster/records.ts';
import { cheapestToFree } from '../freeing.ts';
import type { Candidate } from '../remedy.ts';
import { smallestSet } from '../smallest-set.ts';
import { type Changes, endOf, fitsAfter, nameOf, startsAfter, type Trial } from '../trial.ts';
import { listed, shortened, verb } from '../words.ts';

/** More names than this are not told. */
const namesMax = 8;
const heldMax = 256;
/** Harms that differ by less are alike. */
const alikeWithin = 0.4;
/** So many are tried beside the first that was found. */
const alikeMax = 24;

/** The fewest workloads without which it fits; of sets as large, one that hurts least. */
export function stop(trial: Trial): readonly Candidate[] {
  const { cluster } = trial;
  const harm = (allocation: AllocationRecord): number => harmOf(trial, allocation);
  const set = byRoom(trial, harm) ?? ofWorkspace(trial, harm);
  if (set === undefined || set.length === 0) return [];
  const [first] = set;
  const changes = stopsOf(trial, set);
  if (set.length > 1 || first === undefined) {
    const names = [...new Set(set.map((allocation) => nameOf(cluster, allocation)))].sort();
    return [candidate(names, false, changes)];
  }
  const others = alternatives(trial, first, harm);
  return [candidate([first, ...others].map((allocation) => nameOf(cluster, allocation)).sort(byNumber), others.length > 0, changes)];
}

function candidate(workloads: readonly string[], any: boolean, changes: Changes): Candidate {
  const who = any ? `any one of ${listed(workloads, 'or')}` : shortened(workloads, namesMax);
  return { remedy: { kind: 'stop', workloads, any, text: `fits if ${who} ${any ? 'is' : verb(workloads, 'is', 'are')} stopped` }, changes };
}

function byNumber(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}

/** Each workload counts; those that may be interrupted half, those more urgent than it much more. Of equals the smaller. */
function harmOf({ cluster, workload }: Trial, allocation: AllocationRecord): number {
  const other = cluster.workloads.get(allocation.workload);
  if (isOfSameGang(workload, other)) return Number.POSITIVE_INFINITY;
  const each = other?.interruptible === undefined ? 1 : 0.5;
  const urgency = other !== undefined && other.priority > workload.priority ? 4 : 0;
  return each + urgency + allocation.units.memory / 10_000;
}

function isOfSameGang(workload: WorkloadRecord, other: WorkloadRecord | undefined): boolean {
  return workload.gang !== undefined && other?.gang?.name === workload.gang.name && other.workspace === workload.workspace;
}

function byRoom(trial: Trial, harm: (allocation: AllocationRecord) => number): readonly AllocationRecord[] | undefined {
  const costs = { of: harm, together: (each: readonly number[]) => each.reduce((sum, one) => sum + one, 0) };
  return cheapestToFree(trial, costs, (gone) => fitsAfter(trial, stopsOf(trial, gone)));
}

/** Where a limit is in the way: of what its own workspace runs. */
function ofWorkspace(trial: Trial, harm: (allocation: AllocationRecord) => number): readonly AllocationRecord[] | undefined {
  if (trial.obstacle === 'room') return undefined;
  const own = [...trial.cluster.allocations.values()]
    .filter((allocation) => allocation.workspace === trial.workload.workspace && Number.isFinite(harm(allocation)))
    .sort((a, b) => harm(a) - harm(b) || (a.id < b.id ? -1 : 1))
    .slice(0, heldMax);
  return smallestSet(own, (some) => fitsAfter(trial, stopsOf(trial, some)));
}

/** Others of which one alone would do, too: those beside the first, and then some elsewhere. */
function alternatives(trial: Trial, first: AllocationRecord, harm: (allocation: AllocationRecord) => number): readonly AllocationRecord[] {
  const { cluster } = trial;
  const beside = cluster.allocationsOnNode(first.node);
  const elsewhere = [...cluster.allocations.values()].filter(({ node }) => node !== first.node);
  const alike = [...beside, ...elsewhere].filter((one) => one.id !== first.id && harm(one) <= harm(first) + alikeWithin);
  const found: AllocationRecord[] = [];
  for (const allocation of alike.slice(0, alikeMax)) {
    if (found.length >= namesMax - 1) break;
    const changes = stopsOf(trial, [allocation]);
    if (fitsAfter(trial, changes) && startsAfter(trial, changes)) found.push(allocation);
  }
  return found;
}

function stopsOf({ cluster }: Trial, allocations: readonly AllocationRecord[]): Changes {
  return allocations.flatMap((allocation) => endOf(cluster, allocation));
}
