import type { ProfileName } from '@astrago/shared/domain/mig/profile';
import type { WantedSlice } from '@astrago/shared/domain/mig/slice';
import { type AskClass, allows } from './demand.ts';
import type { GpuStates, Hosting } from './gpu-state.ts';
import { freeGpus, type Shape, withState } from './shape.ts';

/** A GPU that is taken from: one of this state, or an untouched one. */
export type TakenGpu = number | 'untouched';

export interface CutStep {
  readonly from: TakenGpu;
  /** Absent: a share of time. */
  readonly slice: WantedSlice | undefined;
  /** Slices that would do as well, the one above among them. */
  readonly equals: readonly WantedSlice[];
  readonly after: number;
}

export interface CutOutcome {
  readonly after: Shape;
  /** Higher is better, a whole number within 31 bits. */
  readonly score: number;
  readonly steps: readonly CutStep[];
}

/** The grids of untouched GPUs, by pool: the state an untouched GPU has when it is cut into nothing yet. */
export type UncutStates = ReadonlyMap<number, number>;

/** What it costs to open an untouched GPU beside what its worth falls by, in memory slices. */
const openingCost = 1;
/** Scores are thousandths of a memory slice. */
const scale = 1000;
/** An untouched GPU is shared in time only where no other has room. */
const newlySharedCost = 100 * scale;

/** Where slices, or a share of time, go best on a node of this shape; `undefined` where they do not fit. */
export function cutOutcome(shape: Shape, ask: AskClass, states: GpuStates, uncut: UncutStates): CutOutcome | undefined {
  const cpuMilli = shape.cpuMilli - ask.cpuMilli;
  const memoryMiB = shape.memoryMiB - ask.memoryMiB;
  if (cpuMilli < 0 || memoryMiB < 0 || !allows(ask, shape.pool)) return undefined;
  if (shape.gpus[0] !== 1000 && shape.others === undefined) return undefined;
  const left: Shape = { ...shape, cpuMilli, memoryMiB, worth: Number.NaN };
  if (ask.slices === undefined) return timeSlicedOutcome(left, ask.milli, states);
  const { count, profiles } = ask.slices;
  const profile = profiles.get(shape.pool);
  return profile === undefined ? undefined : slicesOutcome(left, profile, count, states, uncut);
}

/** One after the other, each where it costs least then. */
function slicesOutcome(shape: Shape, profile: ProfileName, count: number, states: GpuStates, uncut: UncutStates): CutOutcome | undefined {
  let left = shape;
  let cost = 0;
  const steps: CutStep[] = [];
  for (let placed = 0; placed < count; placed += 1) {
    const best = cheapest(left, profile, states, uncut);
    if (best === undefined) return undefined;
    cost += best.cost;
    steps.push({ from: best.from, slice: best.hosting.slice, equals: best.hosting.equals, after: best.hosting.after });
    left = taken(left, best.index, best.hosting.after);
  }
  return { after: left, score: -Math.round(cost * scale), steps };
}

interface Candidate {
  readonly from: TakenGpu;
  readonly index: number | undefined;
  readonly hosting: Hosting;
  readonly cost: number;
}

function cheapest(shape: Shape, profile: ProfileName, states: GpuStates, uncut: UncutStates): Candidate | undefined {
  let best: Candidate | undefined;
  const others = shape.others;
  for (let index = 0; others !== undefined && index < others.length; index += 1) {
    const from = others[index] ?? 0;
    const hosting = states.hosting(from, profile);
    if (hosting === undefined) continue;
    const { cost } = hosting;
    const isBetter = best === undefined || cost < best.cost || (cost === best.cost && isBefore(states, from, best.from));
    if (isBetter) best = { from, index, hosting, cost };
  }
  const open = freeGpus(shape.gpus) > (shape.uncuttable ?? 0) ? uncut.get(shape.pool) : undefined;
  const hosting = open === undefined ? undefined : states.hosting(open, profile);
  if (hosting === undefined) return best;
  const cost = hosting.cost + openingCost;
  return best === undefined || cost < best.cost ? { from: 'untouched', index: undefined, hosting, cost } : best;
}

function isBefore(states: GpuStates, one: number, other: TakenGpu): boolean {
  return other !== 'untouched' && states.isBefore(one, other);
}

function timeSlicedOutcome(shape: Shape, milli: number, states: GpuStates): CutOutcome | undefined {
  let best: { readonly from: TakenGpu; readonly index: number | undefined; readonly free: number } | undefined;
  const others = shape.others;
  for (let index = 0; others !== undefined && index < others.length; index += 1) {
    const from = others[index] ?? 0;
    const state = states.at(from);
    if (state.kind !== 'time-sliced' || state.milli < milli) continue;
    if (best === undefined || state.milli < best.free) best = { from, index, free: state.milli };
  }
  if (best === undefined && shape.gpus[0] === 1000) best = { from: 'untouched', index: undefined, free: 1000 };
  if (best === undefined) return undefined;
  const after = states.idOf({ kind: 'time-sliced', milli: best.free - milli });
  // The fuller GPU; an untouched one only where there is no other.
  const score = -(best.free - milli) - (best.from === 'untouched' ? newlySharedCost : 0);
  return { after: taken(shape, best.index, after), score, steps: [{ from: best.from, slice: undefined, equals: [], after }] };
}

function taken(shape: Shape, index: number | undefined, state: number): Shape {
  // Untouched GPUs stand first.
  const gpus = index === undefined ? shape.gpus.slice(1) : shape.gpus;
  return { ...shape, gpus, others: withState(shape.others, index, state), worth: Number.NaN };
}
