// Whom to stop so that a unit can start: as little as possible, and nobody for nothing.
import type { AllocationId, NodeName } from '@astrago/shared/domain/ids';
import type { AllocationRecord, Eviction, WorkloadRecord } from '../cluster/records.ts';
import type { Evict } from './decision.ts';
import { placeUnit, type QueuedUnit } from './gang.ts';
import type { Round } from './round.ts';
import type { Scope } from './scope.ts';

/** Work that may be stopped. Earlier ones in a list are better victims. */
export interface Candidate {
  readonly allocation: AllocationRecord;
  readonly cause: Exclude<Eviction['cause'], 'moved'>;
}

/** Nodes that are tried out; the ones that promise least damage come first. */
const nodesTriedMax = 24;

/**
 * The least that has to be stopped for a unit, or `undefined` when stopping all of it would not help. Without any one of
 * the victims it would not fit. What is stopped is no more than what is asked for, in slice units, where there is such a
 * choice; otherwise the least that there is.
 */
export function makeRoom(
  round: Round,
  unit: QueuedUnit,
  candidates: readonly Candidate[],
  scope: Scope | undefined,
): readonly Evict[] | undefined {
  const { cluster } = round;
  const [first] = unit.members;
  if (first === undefined || candidates.length === 0) return undefined;
  const victims = cluster.attempt(() => {
    const chosen: Candidate[] = [];
    for (const member of unit.members.slice(0, unit.least)) {
      if (round.afresh().tryPlace(member, scope)) continue;
      const left = candidates.filter((candidate) => !chosen.includes(candidate));
      const found = roomForOne(round, member, left, scope);
      if (found === undefined) return undefined;
      round.release(found.map(({ allocation }) => allocation));
      chosen.push(...found);
      if (!round.afresh().tryPlace(member, scope)) return undefined;
    }
    return chosen;
  });
  if (victims === undefined || victims.length === 0) return undefined;
  const needed = prune(victims, (kept) =>
    cluster.attempt(() => {
      round.release(kept.map(({ allocation }) => allocation));
      return placeUnit(round.afresh(), unit, scope).kind === 'bound';
    }),
  );
  return needed?.map(({ allocation, cause }) => ({
    workload: allocation.workload,
    allocation: allocation.id,
    node: allocation.node,
    cause,
    beneficiary: first.id,
  }));
}

/** Drops whoever is not needed, the worst victims first; `undefined` when all of them are not enough. */
function prune(victims: readonly Candidate[], isEnough: (kept: readonly Candidate[]) => boolean): readonly Candidate[] | undefined {
  if (!isEnough(victims)) return undefined;
  let kept = victims;
  for (const victim of victims.toReversed()) {
    const without = kept.filter((other) => other !== victim);
    if (without.length > 0 && isEnough(without)) kept = without;
  }
  return kept;
}

interface Option {
  readonly victims: readonly Candidate[];
  /** Compared in order, smaller is better. */
  readonly rank: readonly number[];
}

function roomForOne(
  round: Round,
  member: WorkloadRecord,
  candidates: readonly Candidate[],
  scope: Scope | undefined,
): readonly Candidate[] | undefined {
  const asked = Math.min(...round.scheduler.variantsOf(member).map(({ units }) => units.memory));
  const order = new Map<AllocationId, number>(candidates.map(({ allocation }, at) => [allocation.id, at]));
  const byNode = [...Map.groupBy(candidates, ({ allocation }) => allocation.node)]
    .map(([node, own]) => ({ node, own, promise: promiseOf(round, own, asked) }))
    .filter(({ node, promise }) => promise !== undefined && scope?.accepts({ node, kind: undefined, gpus: [] }) !== false)
    .sort((a, b) => compare(a.promise ?? [], b.promise ?? []) || (a.node < b.node ? -1 : 1));
  let best: Option | undefined;
  for (const { node, own } of byNode.slice(0, nodesTriedMax)) {
    const option = roomOnNode(round, member, node, own, asked, order);
    if (option !== undefined && (best === undefined || compare(option.rank, best.rank) < 0)) best = option;
  }
  return best?.victims;
}

/** How much would have to be stopped here at the least, judged by counts alone; `undefined` where all is not enough. */
function promiseOf(round: Round, own: readonly Candidate[], asked: number): readonly number[] | undefined {
  const sizes = own.map(({ allocation }) => allocation.units.memory).sort((a, b) => a - b);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const [first] = own;
  const free = first === undefined ? 0 : round.freeMemoryUnits(first.allocation.node);
  if (total + free < asked) return undefined;
  const needed = asked - free;
  const single = sizes.find((size) => size >= needed);
  const damage = Math.min(single ?? Number.POSITIVE_INFINITY, greedy(sizes, needed));
  return [Math.max(0, damage - asked), damage, own.length];
}

function greedy(sizes: readonly number[], needed: number): number {
  let sum = 0;
  for (const size of sizes.toReversed()) if (sum < needed) sum += size;
  return sum;
}

/** Stops one after the other on a node until it fits, then lets off who is not needed. */
function roomOnNode(
  round: Round,
  member: WorkloadRecord,
  node: NodeName,
  own: readonly Candidate[],
  asked: number,
  order: ReadonlyMap<AllocationId, number>,
): Option | undefined {
  const scope: Scope = { name: undefined, accepts: (bay) => bay.node === node };
  const isEnough = (victims: readonly Candidate[]): boolean =>
    round.cluster.attempt(() => {
      round.release(victims.map(({ allocation }) => allocation));
      return round.afresh().tryPlace(member, scope);
    });
  // Those that are no larger than the ask first: what is stopped should not be more than what is asked for.
  const small = own.filter(({ allocation }) => allocation.units.memory <= asked);
  for (const pool of small.length === own.length ? [own] : [small, own]) {
    let victims: readonly Candidate[] = [];
    let enough = false;
    for (let taken = 1; taken <= pool.length && !enough; taken += 1) {
      victims = pool.slice(0, taken);
      enough = isEnough(victims);
    }
    if (!enough) continue;
    const kept = prune(victims, isEnough) ?? victims;
    const damage = kept.reduce((sum, { allocation }) => sum + allocation.units.memory, 0);
    const worst = Math.max(...kept.map(({ allocation }) => order.get(allocation.id) ?? 0));
    return { victims: kept, rank: [Math.max(0, damage - asked), worst, damage, kept.length] };
  }
  return undefined;
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (const [at, value] of a.entries()) {
    const other = b[at] ?? 0;
    if (value !== other) return value - other;
  }
  return 0;
}
