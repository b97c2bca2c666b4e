import { type AskClass, allows, isShare } from './demand.ts';
import { freeGpus, type Shape, withGpu } from './shape.ts';

/** Judges where an ask goes best. Two nodes of one shape are always judged alike. */
export interface PlacementPolicy {
  readonly name: string;
  /** Whether a share is tried on each GPU that has room, or only on the one it fills most. */
  readonly gpuChoice: 'every' | 'tightest';
  /**
   * Higher is better. A whole number within 31 bits: among equals the first node in the fixed order gets the ask, and
   * that nodes fill up in one order is worth more than the last digit of a score.
   */
  score(before: Shape, after: Shape, ask: AskClass): number;
  /** What is remembered of a node that took the ask. */
  mark?(marks: number, ask: AskClass): number;
  /** Changes whenever scores that were given before do not hold any more. */
  readonly version?: number;
}

/** The shapes that a node may have after taking the ask; none where it does not fit. */
export function outcomes(shape: Shape, ask: AskClass, policy: PlacementPolicy): readonly Shape[] {
  const cpuMilli = shape.cpuMilli - ask.cpuMilli;
  const memoryMiB = shape.memoryMiB - ask.memoryMiB;
  if (cpuMilli < 0 || memoryMiB < 0 || !allows(ask, shape.pool)) return [];
  const marks = policy.mark?.(shape.marks, ask) ?? shape.marks;
  const { pool, others, uncuttable } = shape;
  const left = (gpus: Uint16Array): Shape => ({ pool, cpuMilli, memoryMiB, gpus, others, uncuttable, marks, worth: Number.NaN });
  if (ask.gpus === 0) return [left(shape.gpus)];
  if (!isShare(ask)) {
    if (freeGpus(shape.gpus) < ask.gpus) return [];
    const gpus = new Uint16Array(shape.gpus.length);
    gpus.set(shape.gpus.subarray(ask.gpus));
    return [left(gpus)];
  }
  const found: Shape[] = [];
  let last: number | undefined;
  for (let at = shape.gpus.length - 1; at >= 0; at -= 1) {
    const milli = shape.gpus[at] ?? 0;
    if (milli < ask.milli || milli === last) continue;
    last = milli;
    found.push(left(withGpu(shape.gpus, at, milli - ask.milli)));
    if (policy.gpuChoice === 'tightest') break;
  }
  return found;
}
