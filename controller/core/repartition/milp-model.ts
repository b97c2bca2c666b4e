// The plan as an integer program: how many GPUs of each kind are cut by which pattern, and which demand that meets where.
import type { NodeName } from '@astrago/shared/domain/ids';
import { sameLayout } from '@astrago/shared/domain/mig/layout';
import type { ProfileName } from '@astrago/shared/domain/mig/profile';
import { sameSlice, type WantedSlice } from '@astrago/shared/domain/mig/slice';
import type { DemandClass } from './demand.ts';
import { type GpuPattern, patternsOf, stateKey, type Wanted } from './gpu-patterns.ts';
import { type Pool, type PoolGpu, type PoolNode, serves } from './pool.ts';
import type { Claim, LayoutChange, RepartitionPlan } from './repartition-plan.ts';

/** GPUs that are the same to the program. */
interface Group {
  readonly place: string;
  readonly gpus: readonly PoolGpu[];
  readonly patterns: readonly GpuPattern[];
}

/** Pieces of one class in one place; a place is one node whose bounds count, or all other nodes. */
interface Share {
  readonly demand: DemandClass;
  readonly place: string;
}

export interface MilpModel {
  /** How many: time and memory of the solver grow with it. */
  readonly variables: number;
  /** In the LP format: as much of the demand as can be met. */
  readonly most: string;
  /** As few changes as can be, with at least that much met. */
  cheapest(met: number): string;
  /** A plan from the values of the variables; `undefined` for values that are none of this program. */
  decode(values: Readonly<Record<string, number>>): RepartitionPlan | undefined;
}

export function milpModel(pool: Pool, demand: readonly DemandClass[]): MilpModel {
  const profiles = [...new Set(demand.flatMap(({ want }) => (want.kind === 'slice' ? [want.profile] : [])))].sort();
  const gpus = pool.gpus.filter(serves);
  const placeOf = placesOf(pool, gpus, demand);
  const groups = groupsOf(gpus, placeOf, wantedOf(demand, profiles));
  const shares = sharesOf(
    groups,
    demand,
    profiles,
    new Set(pool.nodes.filter(({ name }) => placeOf(name) === name).map(({ name }) => name)),
  );
  const rows = rowsOf(groups, shares, pool.nodes, demand, profiles);
  const met = sum(shares.map(({ demand: { weight } }, s) => [weight, `y${s}`] as const));
  const cost = sum(groups.flatMap(({ patterns }, g) => patterns.map((pattern, p) => [pattern.cost, `x${g}_${p}`] as const)));
  const bounds = [
    ...groups.flatMap(({ gpus: members, patterns }, g) => patterns.map((_, p) => `0 <= x${g}_${p} <= ${members.length}`)),
    ...shares.map(({ demand: { count } }, s) => `0 <= y${s} <= ${count}`),
  ];
  const names = bounds.map((bound) => bound.split(' ')[2]);
  const program = (goal: string, more: readonly string[]): string =>
    [goal, 'Subject To', ...rows, ...more, 'Bounds', ...bounds, 'General', ...names, 'End', ''].join('\n');
  return {
    variables: names.length,
    most: program(`Maximize\n met: ${met}`, []),
    cheapest: (least) => program(`Minimize\n cost: ${cost}`, [` enough: ${met} >= ${least}`]),
    decode: (values) => decode(groups, shares, values),
  };
}

function wantedOf(demand: readonly DemandClass[], profiles: readonly ProfileName[]): Wanted {
  const most = profiles.map((profile) =>
    demand.reduce((all, { want, count }) => all + (want.kind === 'slice' && want.profile === profile ? count : 0), 0),
  );
  return { profiles, most, whole: demand.some(({ want }) => want.kind === 'whole') };
}

/** The name of a node is a place of its own where its CPU or memory may run out, or several of its GPUs are asked for together. */
function placesOf(pool: Pool, gpus: readonly PoolGpu[], demand: readonly DemandClass[]): (node: NodeName) => string {
  const cpu = Math.max(0, ...demand.map(({ cpuMilli }) => cpuMilli));
  const memory = Math.max(0, ...demand.map(({ memoryMiB }) => memoryMiB));
  const together = demand.flatMap(({ want }) => (want.kind === 'whole' && want.gpus > 1 ? [want.gpus] : []));
  const byNode = Map.groupBy(gpus, ({ node }) => node);
  const own = new Set<NodeName>();
  for (const [node, members] of byNode) {
    const room = pool.nodes.find(({ name }) => name === node);
    const pieces = members.reduce((all, { grid }) => all + (grid?.placementUnits ?? 1), 0);
    const free = members.filter(({ used }) => used.length === 0).length;
    const tight = room === undefined || room.freeCpuMilli < pieces * cpu || room.freeMemoryMiB < pieces * memory;
    if (tight || together.some((count) => free >= count)) own.add(node);
  }
  return (node) => (own.has(node) ? node : '');
}

function groupsOf(gpus: readonly PoolGpu[], placeOf: (node: NodeName) => string, wanted: Wanted): readonly Group[] {
  const byState = new Map<string, readonly GpuPattern[]>();
  return [...Map.groupBy(gpus, (gpu) => `${placeOf(gpu.node)} ${stateKey(gpu)}`).values()].flatMap((members): readonly Group[] => {
    const [first] = members;
    if (first === undefined) return [];
    const state = stateKey(first);
    const patterns = byState.get(state) ?? patternsOf(first, wanted);
    byState.set(state, patterns);
    return [{ place: placeOf(first.node), gpus: members, patterns }];
  });
}

function sharesOf(
  groups: readonly Group[],
  demand: readonly DemandClass[],
  profiles: readonly ProfileName[],
  nodes: ReadonlySet<string>,
): readonly Share[] {
  const places = [...Map.groupBy(groups, ({ place }) => place)];
  return demand.flatMap((piece) => {
    const { want } = piece;
    return places.flatMap(([place, members]): readonly Share[] => {
      if (want.kind === 'whole' && want.gpus > 1 && !nodes.has(place)) return [];
      const at = want.kind === 'slice' ? profiles.indexOf(want.profile) : -1;
      const offered = members.some(({ patterns }) => patterns.some(({ whole, offers }) => (at < 0 ? whole : (offers[at] ?? 0) > 0)));
      return offered ? [{ demand: piece, place }] : [];
    });
  });
}

type Term = readonly [factor: number, variable: string];

function rowsOf(
  groups: readonly Group[],
  shares: readonly Share[],
  nodes: readonly PoolNode[],
  demand: readonly DemandClass[],
  profiles: readonly ProfileName[],
): readonly string[] {
  const rows: string[] = [];
  const row = (terms: readonly Term[], bound: string): void => {
    if (terms.some(([factor]) => factor !== 0)) rows.push(` r${rows.length}: ${sum(terms)} ${bound}`);
  };
  for (const [g, { gpus, patterns }] of groups.entries())
    row(
      patterns.map((_, p): Term => [1, `x${g}_${p}`]),
      `= ${gpus.length}`,
    );
  for (const piece of demand) {
    const own = shares.flatMap((share, s): readonly Term[] => (share.demand === piece ? [[1, `y${s}`]] : []));
    if (own.length > 1) row(own, `<= ${piece.count}`);
  }
  for (const place of new Set(groups.map((group) => group.place))) {
    const offered = (of: (pattern: GpuPattern) => number): readonly Term[] =>
      groups.flatMap((group, g) => (group.place === place ? group.patterns.map((pattern, p): Term => [-of(pattern), `x${g}_${p}`]) : []));
    const taken = (by: (piece: DemandClass) => number): readonly Term[] =>
      shares.flatMap((share, s): readonly Term[] => (share.place === place ? [[by(share.demand), `y${s}`]] : []));
    for (const [at, profile] of profiles.entries())
      row(
        [...taken(({ want }) => Number(want.kind === 'slice' && want.profile === profile)), ...offered(({ offers }) => offers[at] ?? 0)],
        '<= 0',
      );
    row([...taken(({ want }) => (want.kind === 'whole' ? want.gpus : 0)), ...offered(({ whole }) => Number(whole))], '<= 0');
    if (place === '') continue;
    const node = nodes.find(({ name }) => name === place);
    row(
      taken(({ cpuMilli }) => cpuMilli),
      `<= ${Math.max(0, node?.freeCpuMilli ?? 0)}`,
    );
    row(
      taken(({ memoryMiB }) => memoryMiB),
      `<= ${Math.max(0, node?.freeMemoryMiB ?? 0)}`,
    );
  }
  return rows;
}

/** A line each term: readers of the format may end lines early. */
function sum(terms: readonly Term[]): string {
  const some = terms.filter(([factor]) => factor !== 0);
  const [first] = terms;
  if (some.length === 0) return first === undefined ? '0' : `0 ${first[1]}`;
  return some.map(([factor, variable]) => `${factor < 0 ? '-' : '+'} ${Math.abs(factor)} ${variable}`).join('\n  ');
}

function decode(groups: readonly Group[], shares: readonly Share[], values: Readonly<Record<string, number>>): RepartitionPlan | undefined {
  const changes: LayoutChange[] = [];
  const free = new Map<string, Seats>();
  for (const [g, { place, gpus, patterns }] of groups.entries()) {
    const seats = free.get(place) ?? { slices: new Map(), wholes: [] };
    free.set(place, seats);
    let next = 0;
    for (const [p, pattern] of patterns.entries()) {
      const count = Math.round(values[`x${g}_${p}`] ?? 0);
      for (const gpu of gpus.slice(next, next + count)) {
        seat(seats, gpu, pattern);
        if (!sameLayout(gpu.layout, pattern.layout))
          changes.push({ gpu: gpu.uuid, node: gpu.node, before: gpu.layout, layout: pattern.layout });
      }
      next += count;
    }
    if (next !== gpus.length) return undefined;
  }
  const claims: Claim[] = [];
  for (const [s, { demand, place }] of shares.entries()) {
    for (let count = Math.round(values[`y${s}`] ?? 0); count > 0; count -= 1) {
      const claim = take(free.get(place), demand);
      if (claim === undefined) return undefined;
      claims.push(claim);
    }
  }
  return { changes: neededOnly(changes, claims), claims, moves: [] };
}

interface Seats {
  readonly slices: Map<ProfileName, { readonly gpu: PoolGpu; readonly slice: WantedSlice }[]>;
  readonly wholes: PoolGpu[];
}

function seat({ slices, wholes }: Seats, gpu: PoolGpu, { layout, whole }: GpuPattern): void {
  if (whole) wholes.push(gpu);
  if (layout.kind === 'whole') return;
  for (const { profile, start } of layout.slices) {
    if (gpu.used.some((used) => sameSlice(used, { profile, start }))) continue;
    const list = slices.get(profile) ?? [];
    list.push({ gpu, slice: { profile, start } });
    slices.set(profile, list);
  }
}

function take(seats: Seats | undefined, { id, want }: DemandClass): Claim | undefined {
  if (want.kind === 'slice') {
    const found = seats?.slices.get(want.profile)?.shift();
    return found === undefined ? undefined : { demand: id, node: found.gpu.node, devices: [{ gpu: found.gpu.uuid, slice: found.slice }] };
  }
  const gpus = seats?.wholes.splice(0, want.gpus) ?? [];
  const [first] = gpus;
  if (first === undefined || gpus.length < want.gpus) return undefined;
  return { demand: id, node: first.node, devices: gpus.map(({ uuid }) => ({ gpu: uuid, slice: undefined })) };
}

/** What is cut anew and then not claimed would be cut for nothing. */
function neededOnly(changes: readonly LayoutChange[], claims: readonly Claim[]): readonly LayoutChange[] {
  const claimed = new Set(claims.flatMap(({ devices }) => devices.map(({ gpu }) => gpu)));
  return changes.filter(({ gpu }) => claimed.has(gpu));
}
