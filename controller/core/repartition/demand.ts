// From the queue and recent history to what is wanted: classes of equal pieces, each with what one is worth.
import type { ProfileName } from '@astrago/shared/domain/mig/profile';

export type Want =
  | { readonly kind: 'slice'; readonly profile: ProfileName }
  /** Whole GPUs on one node, 1 or more. */
  | { readonly kind: 'whole'; readonly gpus: number };

export interface DemandClass {
  /** Equal for equal classes, whenever they are made. */
  readonly id: string;
  readonly want: Want;
  /** Pieces wanted, 1 or more. */
  readonly count: number;
  /** What one piece is worth, in eighths of a placement unit that has just begun to wait; a positive integer. */
  readonly weight: number;
  readonly cpuMilli: number;
  readonly memoryMiB: number;
  /** Waits now; otherwise it is only expected, because it was asked for lately. */
  readonly waiting: boolean;
}

interface AskedPiece {
  readonly want: Want;
  /** Placement units of all its devices. */
  readonly units: number;
  readonly cpuMilli: number;
  readonly memoryMiB: number;
}

export interface WaitingPiece extends AskedPiece {
  readonly priority: number;
  readonly waitingSinceMs: number;
}

/** Asked for lately, and not waiting any more. */
export interface RecentPiece extends AskedPiece {
  readonly askedAtMs: number;
}

export interface DemandInput {
  readonly queue: readonly WaitingPiece[];
  readonly history: readonly RecentPiece[];
  readonly nowMs: number;
  /** After this long an ask of the past counts half. */
  readonly halfLifeMs: number;
}

/** A priority counts twice the next lower one that waits, over this many steps; a strict order would need no planner. */
const priorityStepsMax = 5;
/** Each of these minutes that it has waited adds a quarter. */
const ageStepsMinutes = [1, 4, 16, 64] as const;

/** The worthiest by placement unit first; ties by id, so that one input has one answer. */
export function demandOf({ queue, history, nowMs, halfLifeMs }: DemandInput): readonly DemandClass[] {
  const counts = new Map<string, { piece: Omit<DemandClass, 'count'>; count: number; units: number }>();
  const add = (piece: AskedPiece, weight: number, waiting: boolean, by: number): void => {
    const { want, units, cpuMilli, memoryMiB } = piece;
    const id = `${wantText(want)}/${cpuMilli}m/${memoryMiB}Mi/${waiting ? weight : 'expected'}`;
    const known = counts.get(id) ?? { piece: { id, want, weight, cpuMilli, memoryMiB, waiting }, count: 0, units };
    counts.set(id, { ...known, count: known.count + by });
  };
  const ranks = [...new Set(queue.map(({ priority }) => priority))].sort((a, b) => a - b);
  for (const piece of queue) {
    const rank = Math.min(ranks.indexOf(piece.priority), priorityStepsMax);
    const waited = (nowMs - piece.waitingSinceMs) / 60_000;
    const age = ageStepsMinutes.filter((minutes) => waited >= minutes).length;
    add(piece, piece.units * 2 ** rank * 2 * (4 + age), true, 1);
  }
  for (const piece of history) add(piece, piece.units, false, 0.5 ** (Math.max(0, nowMs - piece.askedAtMs) / halfLifeMs));
  return [...counts.values()]
    .map(({ piece, count, units }) => ({
      ...piece,
      count: piece.waiting ? count : Math.floor(count + 1e-9),
      perUnit: piece.weight / units,
    }))
    .filter(({ count }) => count > 0)
    .sort((a, b) => b.perUnit - a.perUnit || b.weight - a.weight || (a.id < b.id ? -1 : 1))
    .map(({ perUnit: _perUnit, ...demand }) => demand);
}

export function wantText(want: Want): string {
  return want.kind === 'slice' ? want.profile : want.gpus === 1 ? '1 whole GPU' : `${want.gpus} whole GPUs on one node`;
}
