// Room that a reservation keeps from work, told by its name.
import type { Cluster } from '../cluster/cluster.ts';
import type { ReservationRecord, WorkloadRecord } from '../cluster/records.ts';
import { trialIds, unitOf } from '../scheduling/fits.ts';
import { placeUnit } from '../scheduling/gang.ts';
import { Holds } from '../scheduling/holds.ts';
import { Round } from '../scheduling/round.ts';
import { schedulerOf } from '../scheduling/scheduler.ts';
import { smallestSet } from './smallest-set.ts';
import { dateTime, listed } from './words.ts';

/** Of more reservations than this, the last to end are not tried. */
const triedMax = 64;

/** Why room is kept from the workload, where that is for reservations of others: it would have a place without them. */
export function keptText(cluster: Cluster, workload: WorkloadRecord, nowMs: number): string | undefined {
  const others = [...cluster.reservations.values()]
    .filter(({ workspace, untilMs }) => workspace !== workload.workspace && nowMs < untilMs)
    .sort((a, b) => a.untilMs - b.untilMs || (a.name < b.name ? -1 : 1))
    .slice(0, triedMax);
  const keeping = smallestSet(others, (some) => hasPlaceWithout(cluster, workload, some, nowMs));
  if (keeping === undefined) return undefined;
  return `there is room, and it is kept ${listed(
    keeping.map((one) => reservationText(one, nowMs)),
    'and',
  )}`;
}

function hasPlaceWithout(cluster: Cluster, workload: WorkloadRecord, some: readonly ReservationRecord[], nowMs: number): boolean {
  return cluster.attempt(() => {
    for (const { name } of some) cluster.apply({ kind: 'reservation-cancelled', name });
    const scope = new Holds(cluster, nowMs).scopeFor(workload, nowMs);
    const round = new Round(schedulerOf(cluster), { nextAllocationId: trialIds(), nowMs });
    return placeUnit(round, unitOf(cluster, workload), scope).kind === 'bound';
  });
}

function reservationText({ name, workspace, fromMs, untilMs }: ReservationRecord, nowMs: number): string {
  const whose = `for workspace ${workspace} by reservation ${name}`;
  if (fromMs <= nowMs) return `${whose} until ${dateTime(untilMs)}`;
  return `${whose} from ${dateTime(fromMs)} until ${dateTime(untilMs)}, before which only work goes there that is expected to have ended`;
}
