import type { Cluster } from '../cluster/cluster.ts';
import { relabel } from '../quota/relabel.ts';
import type { Bind, Decision, Evict, Obstacle, Waiting } from './decision.ts';
import { placeUnit, type QueuedUnit, type UnitAnswer, unitsOf } from './gang.ts';
import { Holds, ownerOf } from './holds.ts';
import { makeRoom } from './make-room.ts';
import { Pledges } from './pledges.ts';
import { reservationFor } from './reserve.ts';
import { lookKeyOf, Round, type RoundDeps } from './round.ts';
import { type Scheduler, schedulerOf } from './scheduler.ts';
import { serviceOrder } from './service-order.ts';
import { candidatesFor } from './victims.ts';

/** One unit has nodes kept for it; so many are looked at to find one for which that can be done. */
const reservationsTriedMax = 3;

/**
 * Looks at the queue in its order and says who goes where, and who has to go. The cluster is left as it was.
 *
 * Work that does not fit is passed by: later, smaller work may start first. The head of the queue is looked at
 * first in every round, so what it needs is never given to others while it fits (I7).
 */
export function decide(cluster: Cluster, deps: RoundDeps, scheduler: Scheduler = schedulerOf(cluster)): Decision {
  scheduler.lookAround();
  return cluster.attempt(() => {
    const look = new Look(scheduler, deps);
    const units = unitsOf(cluster, cluster.queue());
    try {
      // Before anybody's work is called its own: what they were promised is theirs first. Before all others what may not be
      // interrupted: it cannot do with what is borrowed, where a guarantee is shared and the others are ahead in the queue.
      const promised = units.filter((unit) => look.holds.isPromised(unit));
      for (const unit of promised) if (!mayBorrow(unit)) look.pledges.make(unit);
      for (const unit of promised) if (mayBorrow(unit)) look.pledges.make(unit);
      const relabels = relabel(cluster, scheduler.quotas);
      for (const unit of serviceOrder(scheduler, units, look.holds)) look.at(unit);
      const { binds, evictions, waiting } = look;
      return { binds, evictions, relabels, waiting };
    } finally {
      look.pledges.takeAllBack();
    }
  });
}

function mayBorrow({ members: [first] }: QueuedUnit): boolean {
  return first?.interruptible !== undefined;
}

/** What has been decided so far, and what it leaves to those who come after. */
class Look {
  readonly binds: Bind[] = [];
  readonly evictions: Evict[] = [];
  readonly waiting: Waiting[] = [];
  readonly holds: Holds;
  readonly pledges: Pledges;
  readonly #round: Round;
  #reservationsLeft = reservationsTriedMax;
  /** For whom stopping others was found not to help, or not to be allowed; what is asked with whose right. */
  readonly #withoutVictims = new Set<string>();

  constructor(scheduler: Scheduler, deps: RoundDeps) {
    this.#round = new Round(scheduler, deps);
    this.holds = new Holds(scheduler.cluster, deps.nowMs);
    this.pledges = new Pledges(scheduler);
  }

  at(unit: QueuedUnit): void {
    const [first] = unit.members;
    if (first === undefined) return;
    const scope = this.holds.scopeFor(first, this.#round.nowMs);
    this.pledges.takeBack(unit);
    const answer = placeUnit(this.#round, unit, scope);
    const bound = answer.kind === 'bound' ? answer.binds : [];
    for (const bind of bound) this.holds.took(bind);
    this.binds.push(...bound);
    if (bound.length === unit.members.length) return;
    const obstacle = answer.kind === 'bound' ? 'room' : this.#refused(unit, answer, scope !== undefined);
    for (const { id } of unit.members) if (!bound.some(({ workload }) => workload === id)) this.waiting.push({ workload: id, obstacle });
  }

  /** What it waits for; on the way room is made or kept for it. */
  #refused(unit: QueuedUnit, { obstacle }: Extract<UnitAnswer, { kind: 'no' }>, isScoped: boolean): Obstacle {
    if (this.holds.isPending(unit)) {
      // Others are ending for it: it waits for that, and what it will have counts already.
      this.pledges.make(unit);
      return 'evicting';
    }
    if (this.holds.isPromised(unit)) this.holds.giveUp(unit);
    if (obstacle !== 'room') return obstacle;
    if (this.#makeRoom(unit)) return 'evicting';
    if (this.#reservationsLeft > 0) this.#reservationsLeft = this.#reserve(unit) ? 0 : this.#reservationsLeft - 1;
    const would = isScoped && this.#round.cluster.attempt(() => placeUnit(this.#round.afresh(), unit, undefined).kind === 'bound');
    return would ? 'kept' : 'room';
  }

  #makeRoom(unit: QueuedUnit): boolean {
    const [first] = unit.members;
    if (first === undefined) return false;
    const key = `${first.workspace} ${first.priority} ${unit.least} ${lookKeyOf(first)}`;
    if (this.#withoutVictims.has(key)) return false;
    const made = makeRoom(this.#round, unit, candidatesFor(this.#round, unit), this.holds.scopeFor(first, this.#round.nowMs));
    if (made === undefined) {
      this.#withoutVictims.add(key);
      return false;
    }
    this.evictions.push(...made);
    this.holds.beneficiaries.add(ownerOf(first));
    this.pledges.make(unit);
    const { cluster } = this.#round;
    for (const { allocation, node } of made) {
      const record = cluster.allocations.get(allocation);
      if (record !== undefined) cluster.apply({ kind: 'allocation', record: { ...record, intent: 'stop' } });
      this.holds.keep(node, { owner: ownerOf(first), fromMs: undefined, spareGpus: 0, lendsToInterruptible: false });
    }
    return true;
  }

  /** Keeps for the first in the queue without room the nodes that will have it. */
  #reserve(unit: QueuedUnit): boolean {
    const [first] = unit.members;
    if (first === undefined) return false;
    const reservations = reservationFor(this.#round, unit, this.holds.scopeFor(first, this.#round.nowMs)) ?? [];
    for (const { node, hold } of reservations) this.holds.keep(node, hold);
    return reservations.length > 0;
  }
}
