import type { AllocationRecord } from '../../cluster/records.ts';
import { declaredEndMs } from '../../scheduling/expected-end.ts';
import { cheapestToFree } from '../freeing.ts';
import type { Candidate } from '../remedy.ts';
import { smallestSet } from '../smallest-set.ts';
import { endOf, fitsAfter, nameOf, type Trial } from '../trial.ts';
import { clockTime, duration, shortened, verb } from '../words.ts';

/** Ends beyond so many are not looked at one after the other. */
const endsMax = 512;
/** More names are counted, not told. */
const namesMax = 4;

/** The earliest time at which, as far as running work has said how long it takes, there is room; none where it has not. */
export function waitEnds(trial: Trial): readonly Candidate[] {
  const { cluster, nowMs } = trial;
  const endMs = (allocation: AllocationRecord): number => expectedEndMs(trial, allocation);
  const found = byRoom(trial, endMs) ?? byTime(trial, endMs);
  if (found === undefined || found.length === 0) return [];
  const ending = [...found].sort((a, b) => endMs(a) - endMs(b) || (a.id < b.id ? -1 : 1));
  const atMs = ending.reduce((latest, allocation) => Math.max(latest, endMs(allocation)), nowMs);
  const names = [...new Set(ending.map((allocation) => nameOf(cluster, allocation)))];
  const when = atMs <= nowMs ? 'which is any moment now' : `in about ${duration(atMs - nowMs)} (${clockTime(atMs)} UTC)`;
  return [
    {
      remedy: {
        kind: 'wait-ends',
        workloads: names,
        atMs,
        text: `will fit when ${shortened(names, namesMax)} ${verb(names, 'ends', 'have ended')}, ${when}`,
      },
      changes: found.flatMap((allocation) => endOf(cluster, allocation)),
    },
  ];
}

/** When it is expected to end: now for what is being stopped or overdue, never where it was not said. */
function expectedEndMs({ cluster, nowMs }: Trial, allocation: AllocationRecord): number {
  const workload = cluster.workloads.get(allocation.workload);
  if (allocation.intent === 'stop' || workload === undefined || workload.phase === 'stopping') return nowMs;
  const endMs = declaredEndMs(workload, workload.startedAtMs ?? workload.placedAtMs);
  return endMs === undefined ? Number.POSITIVE_INFINITY : Math.max(nowMs, endMs);
}

function byRoom(trial: Trial, endMs: (allocation: AllocationRecord) => number): readonly AllocationRecord[] | undefined {
  if (trial.obstacle !== 'room') return undefined;
  const costs = { of: endMs, together: (ends: readonly number[]) => Math.max(...ends) };
  return cheapestToFree(trial, costs, (gone) => fitsAfter(trial, endsOf(trial, gone)));
}

/** All that ends, one after the other: where more than room has to become free. */
function byTime(trial: Trial, endMs: (allocation: AllocationRecord) => number): readonly AllocationRecord[] | undefined {
  const ending = [...trial.cluster.allocations.values()]
    .filter((allocation) => Number.isFinite(endMs(allocation)) && mayMatter(trial, allocation))
    .sort((a, b) => endMs(a) - endMs(b) || (a.id < b.id ? -1 : 1))
    .slice(0, endsMax);
  return smallestSet(ending, (some) => fitsAfter(trial, endsOf(trial, some)));
}

/** Only a gang with wishes for places can lack more than what is counted for each node. */
function mayMatter({ obstacle, workload }: Trial, { workspace }: AllocationRecord): boolean {
  if (obstacle === 'room') return workload.gang !== undefined || workload.constraints?.together !== undefined;
  return obstacle !== 'limit' || workspace === workload.workspace;
}

function endsOf({ cluster }: Trial, allocations: readonly AllocationRecord[]) {
  return allocations.flatMap((allocation) => endOf(cluster, allocation));
}
