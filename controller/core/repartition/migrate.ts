// Defragmentation: the fewest moves of work that allows it which make room for what waits.
import { findProfile } from '@astrago/shared/domain/mig/grid';
import { formatSlice } from '@astrago/shared/domain/mig/slice';
import { destroyedSlices } from './change-cost.ts';
import { type DemandClass, wantText } from './demand.ts';
import { changesIn } from './greedy.ts';
import { makeRoom, type Room, type Search } from './make-room.ts';
import { planValue } from './plan-value.ts';
import type { ValuedPlan } from './planner.ts';
import type { Pool } from './pool.ts';
import type { Claim, Move, RepartitionPlan } from './repartition-plan.ts';
import { type Load, seatingOf, seatingWith } from './seating.ts';

export interface MigrationBounds {
  /** In all, and for one piece. */
  readonly moves: number;
  readonly movesPerPiece: number;
  /** GPUs looked at in all; a million take about a second. */
  readonly looks: number;
  /** And for one class of the demand and one number of moves, so that a hopeless one leaves time for the others. */
  readonly looksPerClass: number;
}

export interface MigrationStep {
  readonly demand: string;
  /** Empty where others' moves have made the room. */
  readonly moves: readonly Move[];
}

export interface MigrationCost {
  /** Work that is done again: compute slices times seconds. */
  readonly sliceSeconds: number;
  /** Workloads that begin anew, and those that go on from a checkpoint. */
  readonly restarts: readonly string[];
  readonly resumes: readonly string[];
  readonly gpusChanged: number;
  readonly slicesDestroyed: number;
}

export interface MigrationGain {
  /** By weight, on top of what fits without moves. */
  readonly met: number;
  /** Placement units. */
  readonly units: number;
  /** What fits then, by demand. */
  readonly pieces: readonly { readonly demand: string; readonly count: number }[];
}

export type MigrationAnswer =
  | {
      readonly kind: 'proposal';
      /** With the moves, and with all that the plan without them does. */
      readonly plan: RepartitionPlan;
      readonly steps: readonly MigrationStep[];
      readonly cost: MigrationCost;
      readonly gain: MigrationGain;
      /** The bounds ended the search before it had seen all. */
      readonly cutShort: boolean;
      readonly text: string;
    }
  | { readonly kind: 'none'; readonly reason: 'nothing-unmet' | 'nothing-may-move' | 'no-room-found'; readonly cutShort: boolean };

/** @param base the best plan without moves: what it meets stays met. */
export function proposeMoves(pool: Pool, demand: readonly DemandClass[], base: ValuedPlan, bounds: MigrationBounds): MigrationAnswer {
  const unmet = unmetOf(demand, base.plan);
  if (unmet.length === 0) return { kind: 'none', reason: 'nothing-unmet', cutShort: false };
  if (!pool.gpus.some(({ standing, used }) => standing === 'open' && used.some(({ move }) => move.kind !== 'stays')))
    return { kind: 'none', reason: 'nothing-may-move', cutShort: false };
  const memory: Search['memory'] = new Map();
  let looks = bounds.looks;
  let cutShort = false;
  const loadOf = (id: string): Load => demand.find((piece) => piece.id === id) ?? { cpuMilli: 0, memoryMiB: 0 };
  let seating = seatingWith(seatingOf(pool), base.plan.changes, base.plan.claims, loadOf);
  const rooms: Room[] = [];
  const open = new Map(unmet.map(({ piece, count }) => [piece, count]));
  // All that one move makes room for comes before anything that takes two.
  for (let most = 1; most <= bounds.movesPerPiece; most += 1) {
    for (const [piece, count] of open) {
      for (let left = count; left > 0; left -= 1) {
        const made = rooms.reduce((sum, room) => sum + room.moves.length, 0);
        const search: Search = { looks: Math.min(looks, bounds.looksPerClass), memory, onlyReady: false };
        const before = search.looks;
        const room = makeRoom(seating, piece, Math.min(most, bounds.moves - made), search);
        looks -= before - search.looks;
        cutShort ||= search.looks <= 0;
        if (room === undefined) break;
        rooms.push(room);
        open.set(piece, left - 1);
        seating = room.seating;
      }
    }
  }
  const moves = rooms.flatMap((room) => room.moves);
  if (moves.length === 0) return { kind: 'none', reason: 'no-room-found', cutShort };
  const claims: readonly Claim[] = [...base.plan.claims, ...rooms.map(({ claim }) => claim)];
  const plan = { changes: changesIn(seating), claims, moves };
  const cost = costOf(pool, base.plan, plan, rooms);
  const gain = gainOf(pool, demand, base, plan, rooms);
  const steps = rooms.map((room) => ({ demand: room.claim.demand, moves: room.moves }));
  return { kind: 'proposal', plan, steps, cost, gain, cutShort, text: textOf(demand, plan, cost, gain) };
}

function unmetOf(
  demand: readonly DemandClass[],
  plan: RepartitionPlan,
): readonly { readonly piece: DemandClass; readonly count: number }[] {
  return demand
    .filter(({ waiting }) => waiting)
    .map((piece) => ({ piece, count: piece.count - plan.claims.filter((claim) => claim.demand === piece.id).length }))
    .filter(({ count }) => count > 0);
}

function costOf(pool: Pool, base: RepartitionPlan, plan: RepartitionPlan, rooms: readonly Room[]): MigrationCost {
  const kindOf = ({ workload, from }: Move): string | undefined =>
    pool.gpus.find(({ uuid }) => uuid === from.gpu)?.used.find((used) => used.workload === workload)?.move.kind;
  const destroyed = ({ changes }: RepartitionPlan): number =>
    changes.reduce((sum, { before, layout }) => sum + destroyedSlices(before, layout).length, 0);
  return {
    sliceSeconds: rooms.reduce((sum, { lost }) => sum + lost, 0),
    restarts: plan.moves.filter((move) => kindOf(move) === 'restart').map(({ workload }) => workload),
    resumes: plan.moves.filter((move) => kindOf(move) === 'checkpoint').map(({ workload }) => workload),
    gpusChanged: plan.changes.length - base.changes.length,
    slicesDestroyed: destroyed(plan) - destroyed(base),
  };
}

function gainOf(
  pool: Pool,
  demand: readonly DemandClass[],
  base: ValuedPlan,
  plan: RepartitionPlan,
  rooms: readonly Room[],
): MigrationGain {
  const grid = pool.gpus.find((gpu) => gpu.grid !== undefined)?.grid;
  const unitsOf = ({ devices }: Claim): number =>
    devices.reduce((sum, { slice }) => {
      const size = slice === undefined || grid === undefined ? undefined : findProfile(grid, slice.profile)?.size;
      return sum + (size ?? grid?.placementUnits ?? 1);
    }, 0);
  const counts = Map.groupBy(rooms, ({ claim }) => claim.demand);
  return {
    met: planValue(plan, demand).met - base.value.met,
    units: rooms.reduce((sum, { claim }) => sum + unitsOf(claim), 0),
    pieces: [...counts].map(([id, all]) => ({ demand: id, count: all.length })),
  };
}

function textOf(demand: readonly DemandClass[], plan: RepartitionPlan, cost: MigrationCost, gain: MigrationGain): string {
  const pieces = gain.pieces.map(({ demand: id, count }) => {
    const want = demand.find((piece) => piece.id === id)?.want;
    return `${count} x ${want === undefined ? id : wantText(want)}`;
  });
  const moves = plan.moves.map(
    ({ workload, from, to }) => `${workload} from ${from.gpu} ${formatSlice(from.slice)} to ${to.gpu} ${formatSlice(to.slice)}`,
  );
  const restarts = cost.restarts.length === 0 ? [] : [`${cost.restarts.join(', ')} begin anew`];
  const resumes = cost.resumes.length === 0 ? [] : [`${cost.resumes.join(', ')} go on from a checkpoint`];
  return `${pieces.join(', ')} fit after moving ${moves.join('; ')} (${[...restarts, ...resumes, `${cost.sliceSeconds} slice-seconds are done again`].join(', ')})`;
}
