// Parts of a GPU as people write them.
import { parseMemory } from './memory.ts';

/** `300` thousandths, or `30%`: 1 to 999 thousandths. */
export function parsePart(text: string): number | undefined {
  const percent = /^(\d{1,2}(?:\.\d)?)%$/.exec(text.trim());
  const milli = percent === null ? (/^\d{1,3}$/.test(text.trim()) ? Number(text) : undefined) : Math.round(Number(percent[1]) * 10);
  return milli === undefined || milli < 1 ? undefined : milli;
}

export interface LeastSlice {
  readonly memoryMiB: number;
  readonly computeSlices: number;
}

/** `20G`, or `20G/2`: memory, and compute slices after the stroke. */
export function parseLeast(text: string): LeastSlice | undefined {
  const match = /^([^/]+)(?:\/(\d{1,2}))?$/.exec(text.trim());
  const memoryMiB = match?.[1] === undefined ? undefined : parseMemory(match[1]);
  const computeSlices = Number(match?.[2] ?? 1);
  return memoryMiB === undefined || memoryMiB < 1 || computeSlices < 1 ? undefined : { memoryMiB, computeSlices };
}
