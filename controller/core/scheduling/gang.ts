// Workloads that start together or not at all.
import type { Bay } from '../bays/bay.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { gangKey } from '../cluster/gangs.ts';
import type { LocalityWish, WorkloadRecord } from '../cluster/records.ts';
import type { Bind, Obstacle } from './decision.ts';
import { isWithinNode } from './locality.ts';
import type { Round } from './round.ts';
import { type Scope, within } from './scope.ts';

/** What is looked at as one: a workload, or all queued members of a gang. */
export interface QueuedUnit {
  /** In the order of their submission; at least one. */
  readonly members: readonly WorkloadRecord[];
  /** So many of them start, or none does. */
  readonly least: number;
}

export type UnitAnswer = { readonly kind: 'bound'; readonly binds: readonly Bind[] } | { readonly kind: 'no'; readonly obstacle: Obstacle };

/**
 * The queue in units, in its order: a gang stands where its first member does. Once as many of a gang run as must, each
 * further member is a unit of its own: it joins when there is room.
 */
export function unitsOf(cluster: Cluster, queue: readonly WorkloadRecord[]): readonly QueuedUnit[] {
  const gangs = Map.groupBy(
    queue.filter(({ gang }) => gang !== undefined),
    gangKey,
  );
  return queue.flatMap((workload): QueuedUnit | readonly QueuedUnit[] => {
    const members = gangs.get(gangKey(workload)) ?? [];
    if (workload.gang === undefined) return { members: [workload], least: 1 };
    const running = cluster.gangOf(workload).filter(({ phase }) => phase === 'starting' || phase === 'running').length;
    // Members that have ended are not waited for.
    const least = Math.min(workload.gang.least - running, members.length);
    if (least <= 0) return { members: [workload], least: 1 };
    return workload === members[0] ? { members, least } : [];
  });
}

/** Places a unit, or leaves the cluster as it was. */
export function placeUnit(round: Round, { members, least }: QueuedUnit, scope: Scope | undefined): UnitAnswer {
  const [first] = members;
  if (first === undefined) return { kind: 'no', obstacle: 'room' };
  if (first.gang === undefined) {
    const answer = round.place(first, scope);
    return answer.kind === 'bound' ? { kind: 'bound', binds: [answer.bind] } : answer;
  }
  let obstacle: Obstacle = 'room';
  for (const terms of termsOf(first.constraints?.together, first.constraints?.apart)) {
    for (const domain of domainsFor(round, { members, least }, terms.together)) {
      const answer = placeWithin(round, members, least, terms.apart, within(scope, domain));
      if (answer.kind === 'bound') return answer;
      obstacle = answer.obstacle;
    }
  }
  return { kind: 'no', obstacle };
}

interface Terms {
  readonly together: readonly LocalityWish[];
  readonly apart: LocalityWish | undefined;
}

/** All wishes first; then the preferred ones are given up, the last named first. */
function termsOf(together: readonly LocalityWish[] = [], apart: LocalityWish | undefined): readonly Terms[] {
  const across = together.filter((wish) => !isWithinNode(wish));
  const terms: Terms[] = [{ together: across, apart }];
  for (let kept = across.filter(({ required }) => !required).length - 1; kept >= 0; kept -= 1) {
    let preferred = 0;
    terms.push({ together: across.filter(({ required }) => required || preferred++ < kept), apart });
  }
  if (apart?.required === false) terms.push({ together: terms.at(-1)?.together ?? [], apart: undefined });
  return terms;
}

/** The places that share a value on every level, the fullest that could have room first; everywhere where no level is named. */
function domainsFor(round: Round, { members, least }: QueuedUnit, together: readonly LocalityWish[]): readonly (Scope | undefined)[] {
  const [member] = members;
  const count = members.length;
  const levels = together.map(({ level }) => level);
  if (levels.length === 0 || member === undefined) return [undefined];
  const { cluster, scheduler } = round;
  const running = cluster.gangOf(member).filter(({ node, phase }) => node !== undefined && phase !== 'queued');
  const taken = running[0]?.node === undefined ? undefined : domainOf(cluster, running[0].node, levels);
  // No member takes fewer, so no place has room for more of them.
  const wanted = Math.min(...members.map(({ ask }) => (ask.kind === 'whole' ? ask.count : 0)));
  const free = new Map<string, number>();
  for (const { bay, untouched } of scheduler.bays.room()) {
    const domain = domainOf(cluster, bay.node, levels);
    if (domain !== undefined && (taken === undefined || taken === domain))
      free.set(domain, (free.get(domain) ?? 0) + (wanted === 0 ? 0 : Math.floor(untouched / wanted)));
  }
  return [...free]
    .filter(([, places]) => wanted === 0 || places >= least)
    .sort(([a, x], [b, y]) => Number(x < count) - Number(y < count) || x - y || (a < b ? -1 : 1))
    .map(([domain]): Scope => ({ name: domain, accepts: ({ node }) => domainOf(cluster, node, levels) === domain }));
}

/** `undefined` for a node that lacks one of the labels. */
function domainOf(cluster: Cluster, node: Bay['node'], levels: readonly string[]): string | undefined {
  const values = levels.map((level) => (level === 'node' ? node : cluster.nodes.get(node)?.labels?.[level]));
  return values.includes(undefined) ? undefined : JSON.stringify(values);
}

function placeWithin(
  round: Round,
  members: readonly WorkloadRecord[],
  least: number,
  apart: LocalityWish | undefined,
  scope: Scope | undefined,
): UnitAnswer {
  const { cluster } = round;
  const mark = cluster.mark();
  const binds: Bind[] = [];
  const used = new Set<string>();
  const placeOf = (node: Bay['node']): string | undefined => (apart === undefined ? undefined : domainOf(cluster, node, [apart.level]));
  if (apart !== undefined && members[0] !== undefined) {
    for (const { node } of cluster.gangOf(members[0])) {
      const place = node === undefined ? undefined : placeOf(node);
      if (place !== undefined) used.add(place);
    }
  }
  const unused: Scope = {
    name: undefined,
    accepts: ({ node }) => {
      const place = placeOf(node);
      return place !== undefined && !used.has(place);
    },
  };
  let obstacle: Obstacle = 'room';
  for (const [at, member] of members.entries()) {
    // All that are needed, and some of the others missing: what is left may still be too few.
    if (binds.length + members.length - at < least) break;
    const answer = round.place(member, apart === undefined ? scope : within(scope, unused));
    if (answer.kind === 'no') {
      obstacle = answer.obstacle;
      continue;
    }
    binds.push(answer.bind);
    const place = placeOf(answer.bind.placement.node);
    if (place !== undefined) used.add(place);
  }
  if (binds.length >= least && binds.length > 0) return { kind: 'bound', binds };
  round.undoTo(mark);
  return { kind: 'no', obstacle };
}
