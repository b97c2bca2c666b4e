// Where the first in the queue that has no room will have it, so that what comes after does not take it away for ever.
import type { NodeName } from '@astrago/shared/domain/ids';
import type { AskVariant } from '../bays/ask-variants.ts';
import type { Bay } from '../bays/bay.ts';
import type { AllocationRecord, WorkloadRecord } from '../cluster/records.ts';
import { expectedEndMs } from './expected-end.ts';
import { placeUnit, type QueuedUnit } from './gang.ts';
import { type Hold, ownerOf } from './holds.ts';
import type { Round } from './round.ts';
import type { Scope } from './scope.ts';

/** Where it is not known when others end, nodes are kept free for whoever has waited for so long. */
const drainAfterMs = 30 * 60_000;
/** Nodes that are tried out; those that promise to be free first come first. */
const nodesTriedMax = 24;

export interface Reservation {
  readonly node: NodeName;
  readonly hold: Hold;
}

/**
 * One node a member, the ones that are expected to have room for it first. `undefined` when there is none that ever
 * could, or when it is not known when, and the unit has not waited for long.
 */
export function reservationFor(round: Round, unit: QueuedUnit, scope: Scope | undefined): readonly Reservation[] | undefined {
  const { cluster, nowMs } = round;
  const [first] = unit.members;
  if (first === undefined) return undefined;
  const mayDrain = nowMs - first.submittedAtMs >= drainAfterMs;
  if (!mayDrain && !cluster.hasKnownEnds) return undefined;
  const ending: AllocationRecord[] = [];
  const found = cluster.attempt(() => {
    const reservations: Reservation[] = [];
    for (const member of unit.members.slice(0, unit.least)) {
      const opening = round.afresh().tryPlace(member, scope) ? undefined : firstOpening(round, member, scope, mayDrain);
      if (opening === undefined) {
        // It has a place beside those that are waited for.
        const placed = cluster.allocationsOf(member.id)[0];
        if (placed === undefined) return undefined;
        reservations.push({ node: placed.node, hold: { owner: ownerOf(first), fromMs: nowMs, spareGpus: 0, lendsToInterruptible: false } });
        continue;
      }
      ending.push(...opening.ending);
      round.release(opening.ending);
      if (!round.afresh().tryPlace(member, onNode(opening.node))) return undefined;
      const spareGpus = round.scheduler.bays
        .room()
        .filter(({ bay }) => bay.node === opening.node)
        .reduce((sum, { untouched }) => sum + untouched, 0);
      reservations.push({
        node: opening.node,
        hold: { owner: ownerOf(first), fromMs: opening.atMs, spareGpus, lendsToInterruptible: false },
      });
    }
    return reservations;
  });
  // What it waits for may be something else than that others end: then nothing is kept in vain.
  if (found === undefined || ending.length === 0 || !wouldFit(round, unit, found, ending)) return undefined;
  return found;
}

function wouldFit(round: Round, unit: QueuedUnit, found: readonly Reservation[], ending: readonly AllocationRecord[]): boolean {
  const nodes = new Set(found.map(({ node }) => node));
  return round.cluster.attempt(() => {
    round.release(ending);
    return placeUnit(round.afresh(), unit, { name: undefined, accepts: (bay) => nodes.has(bay.node) }).kind === 'bound';
  });
}

function onNode(node: NodeName): Scope {
  return { name: undefined, accepts: (bay) => bay.node === node };
}

interface Opening {
  readonly node: NodeName;
  /** Absent: not known. */
  readonly atMs: number | undefined;
  /** Who has to end before. */
  readonly ending: readonly AllocationRecord[];
}

function firstOpening(round: Round, member: WorkloadRecord, scope: Scope | undefined, mayDrain: boolean): Opening | undefined {
  const variants = round.scheduler.variantsOf(member);
  const promising = round.scheduler.bays
    .eligible(variants)
    .filter((bay) => scope?.accepts(bay) !== false)
    .map((bay) => ({ bay, promise: promiseOf(round, bay, variants) }))
    .filter(({ promise }) => promise.atMs < Number.POSITIVE_INFINITY || mayDrain)
    .sort((a, b) => earlier(a.promise.atMs, b.promise.atMs) || a.promise.units - b.promise.units || (a.bay.node < b.bay.node ? -1 : 1));
  let best: Opening | undefined;
  for (const { bay } of promising.slice(0, nodesTriedMax)) {
    const opening = openingOn(round, member, bay.node);
    if (opening === undefined || (opening.atMs === undefined && !mayDrain)) continue;
    if (best === undefined || (opening.atMs ?? Number.POSITIVE_INFINITY) < (best.atMs ?? Number.POSITIVE_INFINITY)) best = opening;
  }
  return best;
}

function earlier(a: number, b: number): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

function byEnd(round: Round, node: NodeName): readonly { readonly allocation: AllocationRecord; readonly endMs: number }[] {
  return round.cluster
    .allocationsOnNode(node)
    .map((allocation) => ({ allocation, endMs: expectedEndMs(round.cluster, allocation, round.nowMs) ?? Number.POSITIVE_INFINITY }))
    .sort(
      (a, b) =>
        earlier(a.endMs, b.endMs) || a.allocation.units.memory - b.allocation.units.memory || (a.allocation.id < b.allocation.id ? -1 : 1),
    );
}

/** When so many slice units are free, whatever shape they have, and how many must be freed for it. */
function promiseOf(round: Round, bay: Bay, variants: readonly AskVariant[]): { readonly atMs: number; readonly units: number } {
  const asked = Math.min(...variants.map(({ units }) => units.memory));
  const missing = asked - round.freeMemoryUnits(bay.node);
  let freed = 0;
  let atMs = round.nowMs;
  for (const { allocation, endMs } of byEnd(round, bay.node)) {
    if (freed >= missing) break;
    freed += allocation.units.memory;
    atMs = endMs;
  }
  return { atMs, units: Math.max(0, missing) };
}

/** The first moment at which the member fits on the node, if nothing new goes there. */
function openingOn(round: Round, member: WorkloadRecord, node: NodeName): Opening | undefined {
  const { cluster } = round;
  const ends = byEnd(round, node);
  const fitsWithout = (count: number): boolean =>
    cluster.attempt(() => {
      round.release(ends.slice(0, count).map(({ allocation }) => allocation));
      return round.afresh().tryPlace(member, onNode(node));
    });
  let low = 1;
  let high = ends.length;
  if (high === 0 || !fitsWithout(high)) return undefined;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (fitsWithout(middle)) high = middle;
    else low = middle + 1;
  }
  const ending = ends.slice(0, low);
  const atMs = ending.at(-1)?.endMs ?? Number.POSITIVE_INFINITY;
  return { node, atMs: atMs === Number.POSITIVE_INFINITY ? undefined : atMs, ending: ending.map(({ allocation }) => allocation) };
}
