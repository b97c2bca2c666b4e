// Room for one piece, and where there is none, by moving few others: a bounded search.
import { findProfile } from '@astrago/shared/domain/mig/grid';
import type { ProfileName } from '@astrago/shared/domain/mig/profile';
import type { WantedSlice } from '@astrago/shared/domain/mig/slice';
import { changeCost } from './change-cost.ts';
import type { DemandClass } from './demand.ts';
import { type Leaver, lostBy, mayLeave, openingsFor } from './openings.ts';
import type { Claim, Move } from './repartition-plan.ts';
import {
  betterSeat,
  type FreeSeat,
  freeSeat,
  hasRoom,
  type Load,
  loaded,
  type Row,
  reseated,
  type Seating,
  type SeatMemory,
  wholly,
  withRow,
} from './seating.ts';

export interface Search {
  /** Rows that may still be looked at; used up as it goes. */
  looks: number;
  readonly memory: SeatMemory;
  /** Only places that are cut already. */
  readonly onlyReady: boolean;
}

interface Moved {
  readonly seating: Seating;
  readonly moves: readonly Move[];
  /** Work that is done again: compute slices times seconds. */
  readonly lost: number;
}

export interface Room extends Moved {
  readonly claim: Claim;
}

/** The fewest moves that were found, then the least lost work; `undefined` when none was found within the bounds. */
export function makeRoom(seating: Seating, piece: DemandClass, movesMax: number, search: Search): Room | undefined {
  const { id, want } = piece;
  if (want.kind === 'whole') return roomForWholes(seating, piece, want.gpus, movesMax, search);
  const found = roomForSlice(seating, want.profile, piece, movesMax, search);
  if (found === undefined) return undefined;
  const { row, slice, ...moved } = found;
  return { ...moved, claim: { demand: id, node: row.gpu.node, devices: [{ gpu: row.gpu.uuid, slice }] } };
}

interface SliceRoom extends Moved {
  readonly row: Row;
  readonly slice: WantedSlice;
}

function roomForSlice(seating: Seating, profile: ProfileName, load: Load, movesMax: number, search: Search): SliceRoom | undefined {
  const free = seatWithoutMoves(seating, profile, load, search);
  if (free !== undefined || movesMax <= 0) return free;
  let best: SliceRoom | undefined;
  search.looks -= seating.rows.size;
  for (const { row, grid, slice, leavers, lost } of openingsFor(seating.rows.values(), profile, movesMax)) {
    if (search.looks <= 0) break;
    if (best !== undefined && (leavers.length > best.moves.length || (leavers.length === best.moves.length && lost >= best.lost))) break;
    let next = withRow(seating, reseated(row, grid, leavers, slice));
    for (const { mover } of leavers) next = loaded(next, row.gpu.node, mover.used, -1);
    if (!hasRoom(next, row.gpu.node, load)) continue;
    const moved = moveAway(loaded(next, row.gpu.node, load, 1), leavers, movesMax, search);
    if (moved === undefined) continue;
    const fewer = best === undefined ? -1 : moved.moves.length - best.moves.length || moved.lost - best.lost;
    if (fewer < 0) best = { ...moved, row, slice };
  }
  return best;
}

function seatWithoutMoves(seating: Seating, profile: ProfileName, load: Load, search: Search): SliceRoom | undefined {
  let best: { readonly row: Row; readonly seat: FreeSeat } | undefined;
  search.looks -= seating.rows.size;
  for (const row of seating.rows.values()) {
    if (!hasRoom(seating, row.gpu.node, load)) continue;
    const seat = freeSeat(row, profile, search.onlyReady, search.memory);
    if (seat !== undefined && (best === undefined || betterSeat(seat, best.seat))) best = { row, seat };
  }
  if (best?.row.gpu.grid === undefined) return undefined;
  const { row, seat } = best;
  const next = withRow(seating, reseated(row, best.row.gpu.grid, [], seat.slice));
  return { seating: loaded(next, row.gpu.node, load, 1), moves: [], lost: 0, row, slice: seat.slice };
}

/** New places for all of them, the largest first; where there is none, others are asked to move for them. */
function moveAway(seating: Seating, leavers: readonly Leaver[], movesMax: number, search: Search): Moved | undefined {
  let moved: Moved = { seating, moves: [], lost: 0 };
  let spare = movesMax - leavers.length;
  for (const leaver of leavers.toSorted((a, b) => sizeOf(seating, b) - sizeOf(seating, a))) {
    const { used, from } = leaver.mover;
    const room = roomForSlice(moved.seating, used.profile, used, spare, search);
    if (room === undefined) return undefined;
    spare -= room.moves.length;
    const move: Move = { workload: used.workload, from, to: { gpu: room.row.gpu.uuid, slice: room.slice } };
    moved = {
      seating: room.seating,
      moves: [...moved.moves, move, ...room.moves],
      lost: moved.lost + room.lost + lostBy([leaver]),
    };
  }
  return moved;
}

function sizeOf(seating: Seating, { mover }: Leaver): number {
  const grid = seating.rows.get(mover.from.gpu)?.gpu.grid;
  return grid === undefined ? 0 : (findProfile(grid, mover.used.profile)?.size ?? 0);
}

/** Whole GPUs of one node: those with the least to move away, then with the least to change. */
function roomForWholes(seating: Seating, piece: DemandClass, gpus: number, movesMax: number, search: Search): Room | undefined {
  search.looks -= seating.rows.size;
  const rows = [...seating.rows.values()].filter((row) => mayBeWhole(row, search.onlyReady));
  const offers = [...Map.groupBy(rows, ({ gpu }) => gpu.node)].flatMap(([node, all]) => {
    const sorted = all.map(wholeOffer).sort(cheaper);
    // The cheapest of a node may have nowhere to go: then the next ones, but not every set of them.
    return sorted.flatMap((_, first) => {
      const chosen = sorted.slice(first, first + gpus);
      const leavers = chosen.flatMap((one) => one.leavers);
      if (chosen.length < gpus || leavers.length > movesMax) return [];
      const change = chosen.reduce((sum, one) => sum + one.change, 0);
      return [{ node, chosen, leavers, lost: lostBy(leavers), change, spare: all.length }];
    });
  });
  for (const { node, chosen, leavers } of offers.sort((a, b) => cheaper(a, b) || a.spare - b.spare)) {
    if (search.looks <= 0 && movesMax > 0) return undefined;
    let next = seating;
    for (const { row } of chosen) next = withRow(next, wholly(row));
    for (const { mover } of leavers) next = loaded(next, node, mover.used, -1);
    if (!hasRoom(next, node, piece)) continue;
    const moved = moveAway(loaded(next, node, piece, 1), leavers, movesMax, search);
    if (moved === undefined) continue;
    const devices = chosen.map(({ row }) => ({ gpu: row.gpu.uuid, slice: undefined }));
    return { ...moved, claim: { demand: piece.id, node, devices } };
  }
  return undefined;
}

function mayBeWhole({ gpu, layout, sitters, givenWhole }: Row, onlyReady: boolean): boolean {
  if (givenWhole || !sitters.every(mayLeave)) return false;
  return (layout.kind === 'whole' && sitters.length === 0) || (!onlyReady && gpu.standing === 'open');
}

interface WholeOffer {
  readonly row: Row;
  readonly leavers: readonly Leaver[];
  readonly lost: number;
  readonly change: number;
}

function wholeOffer(row: Row): WholeOffer {
  const leavers = row.sitters.filter(mayLeave);
  const change = changeCost(row.gpu.layout, { kind: 'whole' }) - changeCost(row.gpu.layout, row.layout);
  return { row, leavers, lost: lostBy(leavers), change };
}

function cheaper(a: Omit<WholeOffer, 'row'>, b: Omit<WholeOffer, 'row'>): number {
  return a.leavers.length - b.leavers.length || a.lost - b.lost || a.change - b.change;
}
