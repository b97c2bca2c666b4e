// Who sits where while a plan is made. Values: a try that leads nowhere is dropped.
import { freeStarts, openness } from '@astrago/shared/domain/mig/arrange';
import { findProfile, type MigGrid } from '@astrago/shared/domain/mig/grid';
import { formatLayout, inOrder, type Layout } from '@astrago/shared/domain/mig/layout';
import type { ProfileName } from '@astrago/shared/domain/mig/profile';
import { formatSlice, sameSlice, type WantedSlice } from '@astrago/shared/domain/mig/slice';
import { changeCost } from './change-cost.ts';
import { withIdle } from './gpu-patterns.ts';
import { gridKey } from './grid-key.ts';
import { type Pool, type PoolGpu, serves, type UsedSlice } from './pool.ts';
import type { Claim, LayoutChange, Move } from './repartition-plan.ts';

/** Work that may move, and where it is now. */
export interface Mover {
  readonly used: UsedSlice;
  readonly from: Move['from'];
}

/** A taken slice. Without a mover it stays: its work does not move, has moved already, or has not begun. */
export interface Sitter extends WantedSlice {
  readonly mover: Mover | undefined;
}

/** One GPU that something new may go to. */
export interface Row {
  readonly gpu: PoolGpu;
  readonly layout: Layout;
  readonly sitters: readonly Sitter[];
  readonly givenWhole: boolean;
  /** Equal for rows with equal free seats. */
  readonly key: string;
}

/** What goes to a node with a piece of work. */
export interface Load {
  readonly cpuMilli: number;
  readonly memoryMiB: number;
}

export interface Seating {
  readonly rows: ReadonlyMap<string, Row>;
  /** What is left of each node. */
  readonly rooms: ReadonlyMap<string, Load>;
}

function keyed(row: Omit<Row, 'key'>): Row {
  const { gpu, layout, sitters } = row;
  return {
    ...row,
    key: [gridKey(gpu.grid), gpu.standing, formatLayout(gpu.layout), formatLayout(layout), inOrder(sitters).map(formatSlice)].join('|'),
  };
}

export function seatingOf(pool: Pool): Seating {
  const rows = pool.gpus.filter(serves).map((gpu): [string, Row] => {
    const sitters = gpu.used.map((used): Sitter => {
      const slice = { profile: used.profile, start: used.start };
      return { ...slice, mover: used.move.kind === 'stays' ? undefined : { used, from: { gpu: gpu.uuid, slice } } };
    });
    return [gpu.uuid, keyed({ gpu, layout: gpu.layout, sitters, givenWhole: false })];
  });
  const rooms = pool.nodes.map((node): [string, Load] => [node.name, { cpuMilli: node.freeCpuMilli, memoryMiB: node.freeMemoryMiB }]);
  return { rows: new Map(rows), rooms: new Map(rooms) };
}

/** As it is once these layouts are cut and these pieces have begun. */
export function seatingWith(
  seating: Seating,
  changes: readonly LayoutChange[],
  claims: readonly Claim[],
  loadOf: (demand: string) => Load,
): Seating {
  const rows = new Map(seating.rows);
  for (const { gpu, layout } of changes) {
    const row = rows.get(gpu);
    if (row !== undefined) rows.set(gpu, keyed({ ...row, layout }));
  }
  let next: Seating = { ...seating, rows };
  for (const { demand, node, devices } of claims) {
    next = loaded(next, node, loadOf(demand), 1);
    for (const { gpu, slice } of devices) {
      const row = rows.get(gpu);
      if (row === undefined) continue;
      rows.set(gpu, slice === undefined ? wholly(row) : keyed({ ...row, sitters: [...row.sitters, { ...slice, mover: undefined }] }));
    }
  }
  return next;
}

export function loaded(seating: Seating, node: string, { cpuMilli, memoryMiB }: Load, sign: 1 | -1): Seating {
  const room = seating.rooms.get(node) ?? { cpuMilli: 0, memoryMiB: 0 };
  const rest = { cpuMilli: room.cpuMilli - sign * cpuMilli, memoryMiB: room.memoryMiB - sign * memoryMiB };
  return { ...seating, rooms: new Map(seating.rooms).set(node, rest) };
}

export function hasRoom(seating: Seating, node: string, { cpuMilli, memoryMiB }: Load): boolean {
  const room = seating.rooms.get(node);
  return room !== undefined && room.cpuMilli >= cpuMilli && room.memoryMiB >= memoryMiB;
}

export function withRow(seating: Seating, row: Row): Seating {
  return { ...seating, rows: new Map(seating.rows).set(row.gpu.uuid, row) };
}

/** The row given away in one piece; nobody sits there any more. */
export function wholly(row: Row): Row {
  return keyed({ ...row, layout: { kind: 'whole' }, sitters: [], givenWhole: true });
}

/** The row without the leavers and with the newcomer; idle slices stay where they can. */
export function reseated(row: Row, grid: MigGrid, leavers: readonly Sitter[], newcomer: WantedSlice): Row {
  const present = row.layout.kind === 'mig' ? row.layout.slices : [];
  const sitters = [...row.sitters.filter((sitter) => !leavers.includes(sitter)), { ...newcomer, mover: undefined }];
  if (leavers.length === 0 && present.some((slice) => sameSlice(slice, newcomer))) return keyed({ ...row, sitters });
  const idle = inOrder(present.filter((slice) => !row.sitters.some((other) => sameSlice(other, slice))));
  const taken = sitters.map(({ profile, start }) => ({ profile, start }));
  return keyed({ ...row, sitters, layout: { kind: 'mig', slices: withIdle(grid, taken, idle) } });
}

export interface FreeSeat {
  readonly slice: WantedSlice;
  /** Of cutting for it, on top of what is cut already. */
  readonly cost: number;
  readonly leftover: number;
  readonly openness: number;
}

/** Seats by row and profile: many rows are alike. */
export type SeatMemory = Map<string, FreeSeat | undefined>;

/** The best place of a row for one more slice where nobody has to move. @param onlyReady where nothing is to be cut. */
export function freeSeat(row: Row, profile: ProfileName, onlyReady: boolean, memory: SeatMemory): FreeSeat | undefined {
  const { grid, standing } = row.gpu;
  if (grid === undefined || row.givenWhole) return undefined;
  const ready = onlyReady || standing !== 'open';
  const key = `${profile}|${ready}|${row.key}`;
  if (!memory.has(key)) memory.set(key, findSeat(row, grid, profile, ready));
  return memory.get(key);
}

function findSeat(row: Row, grid: MigGrid, name: ProfileName, onlyReady: boolean): FreeSeat | undefined {
  const profile = findProfile(grid, name);
  if (profile === undefined) return undefined;
  const before = changeCost(row.gpu.layout, row.layout);
  let best: FreeSeat | undefined;
  for (const start of freeStarts(grid, row.sitters, profile)) {
    const slice = { profile: name, start };
    const { layout } = row;
    if (onlyReady && !(layout.kind === 'mig' && layout.slices.some((one) => sameSlice(one, slice)))) continue;
    const after = reseated(row, grid, [], slice);
    const leftover = grid.placementUnits - after.sitters.reduce((sum, one) => sum + (findProfile(grid, one.profile)?.size ?? 0), 0);
    const seat = { slice, cost: changeCost(row.gpu.layout, after.layout) - before, leftover, openness: openness(grid, after.sitters) };
    if (best === undefined || betterSeat(seat, best)) best = seat;
  }
  return best;
}

/** Cheapest, then on the fullest GPU, then what leaves most open to others, then the highest start. */
export function betterSeat(a: FreeSeat, b: FreeSeat): boolean {
  return (a.cost - b.cost || a.leftover - b.leftover || b.openness - a.openness || b.slice.start - a.slice.start) < 0;
}
