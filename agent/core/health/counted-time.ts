// How much of the time something was so, by a count of seconds that the driver keeps.
import type { GpuMeasure, GpuSample } from '../telemetry/sample.ts';

/** Measured over so much time: the count may come less often than samples do, and then stands still and leaps. */
const windowMs = 30_000;

export interface CountedTime {
  /** At the beginning of the window under way. */
  readonly seconds: number;
  readonly sinceMs: number;
  /** 0 to 1, of the last whole window; absent before there was one. */
  readonly share: number | undefined;
}

export type CountedTimes = ReadonlyMap<GpuMeasure, CountedTime>;

/** @param atMs monotonic. */
export function countTimes(before: CountedTimes, measures: readonly GpuMeasure[], values: GpuSample['values'], atMs: number): CountedTimes {
  return new Map(
    measures.flatMap((measure): readonly (readonly [GpuMeasure, CountedTime])[] => {
      const seconds = values[measure];
      return seconds === undefined ? [] : [[measure, count(before.get(measure), seconds, atMs)]];
    }),
  );
}

function count(before: CountedTime | undefined, seconds: number, atMs: number): CountedTime {
  // A count that falls has begun anew.
  if (before === undefined || seconds < before.seconds) return { seconds, sinceMs: atMs, share: undefined };
  if (atMs - before.sinceMs < windowMs) return before;
  return { seconds, sinceMs: atMs, share: Math.min(1, ((seconds - before.seconds) * 1000) / (atMs - before.sinceMs)) };
}
