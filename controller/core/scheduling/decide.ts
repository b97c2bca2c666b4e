import type { Cluster } from '../cluster/cluster.ts';
import { relabel } from '../quota/relabel.ts';
import type { Bind, Decision, Evict, Obstacle, Waiting } from './decision.ts';
import { placeUnit, type QueuedUnit, unitsOf } from './gang.ts';
import { Holds, ownerOf } from './holds.ts';
import { makeRoom } from './make-room.ts';
import { reservationFor } from './reserve.ts';
import { Round, type RoundDeps } from './round.ts';
import { type Scheduler, schedulerOf } from './scheduler.ts';
import { serviceOrder } from './service-order.ts';
import { candidatesFor } from './victims.ts';

/** One unit has nodes kept for it; so many are looked at to find one for which that can be done. */
const reservationsTriedMax = 3;

/**
 * Looks at the queue in its order and says who goes where. The cluster is left as it was.
 *
 * Work that does not fit is passed by: later, smaller work may start first. The head of the queue is looked at
 * first in every round, so what it needs is never given to others while it fits (I7).
 */
export function decide(cluster: Cluster, deps: RoundDeps, scheduler: Scheduler = schedulerOf(cluster)): Decision {
  return cluster.attempt(() => {
    const relabels = relabel(cluster, scheduler.quotas);
    const round = new Round(scheduler, deps);
    const holds = new Holds(cluster, deps.nowMs);
    const binds: Bind[] = [];
    const evictions: Evict[] = [];
    const waiting: Waiting[] = [];
    let reservationsLeft = reservationsTriedMax;
    for (const unit of serviceOrder(scheduler.quotas.tree, unitsOf(cluster, cluster.queue()), holds)) {
      const [first] = unit.members;
      if (first === undefined) continue;
      const scope = holds.scopeFor(first, deps.nowMs);
      const answer = placeUnit(round, unit, scope);
      const bound = answer.kind === 'bound' ? answer.binds : [];
      for (const bind of bound) holds.took(bind);
      binds.push(...bound);
      if (bound.length === unit.members.length) continue;
      const made = answer.kind === 'no' && answer.obstacle === 'room' ? room(round, unit, holds) : [];
      evictions.push(...made);
      if (reservationsLeft > 0 && made.length === 0 && answer.kind === 'no' && answer.obstacle === 'room')
        reservationsLeft = reserve(round, unit, holds) ? 0 : reservationsLeft - 1;
      const isMade = made.length > 0 || holds.beneficiaries.has(ownerOf(first));
      const obstacle =
        answer.kind === 'bound' ? 'room' : isMade ? 'evicting' : whatKeeps(round, unit, answer.obstacle, scope !== undefined);
      for (const { id } of unit.members) if (!bound.some(({ workload }) => workload === id)) waiting.push({ workload: id, obstacle });
    }
    return { binds, evictions, relabels, waiting };
  });
}

/** Stops others for a unit, once: while they are ending it waits for that. */
function room(round: Round, unit: QueuedUnit, holds: Holds): readonly Evict[] {
  const { cluster } = round;
  const [first] = unit.members;
  if (first === undefined || holds.beneficiaries.has(ownerOf(first))) return [];
  const made = makeRoom(round, unit, candidatesFor(round, unit), holds.scopeFor(first, round.nowMs)) ?? [];
  if (made.length > 0) holds.beneficiaries.add(ownerOf(first));
  for (const { allocation, node } of made) {
    const record = cluster.allocations.get(allocation);
    if (record !== undefined) cluster.apply({ kind: 'allocation', record: { ...record, intent: 'stop' } });
    holds.keep(node, { owner: ownerOf(first), fromMs: undefined, spareGpus: 0, lendsToInterruptible: false });
  }
  return made;
}

/** Keeps for the first in the queue without room the nodes that will have it. */
function reserve(round: Round, unit: QueuedUnit, holds: Holds): boolean {
  const [first] = unit.members;
  if (first === undefined || holds.beneficiaries.has(ownerOf(first))) return false;
  const reservations = reservationFor(round, unit, holds.scopeFor(first, round.nowMs)) ?? [];
  for (const { node, hold } of reservations) holds.keep(node, hold);
  return reservations.length > 0;
}

function whatKeeps(round: Round, unit: QueuedUnit, obstacle: Obstacle, isScoped: boolean): Obstacle {
  if (obstacle !== 'room' || !isScoped) return obstacle;
  const would = round.cluster.attempt(() => placeUnit(round.afresh(), unit, undefined).kind === 'bound');
  return would ? 'kept' : 'room';
}
