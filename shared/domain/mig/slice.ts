import type { MigGrid } from './grid.ts';
import { findProfile } from './grid.ts';
import { type ProfileName, parseProfileName } from './profile.ts';

/** What should be cut: a profile and where it starts. Names one place on one GPU for good. */
export interface WantedSlice {
  readonly profile: ProfileName;
  /** In placement units. */
  readonly start: number;
}

/**
 * What is cut. The ids and the UUID are the driver's and are used again after destruction, even for
 * another profile: they locate, they do not identify.
 */
export interface LiveSlice extends WantedSlice {
  readonly size: number;
  readonly gpuInstanceId: number;
  /** Absent while the GPU instance holds no compute instance. */
  readonly computeInstanceId: number | undefined;
  readonly migUuid: string | undefined;
}

export interface Span {
  readonly start: number;
  readonly size: number;
}

export function overlaps(a: Span, b: Span): boolean {
  return a.start < b.start + b.size && b.start < a.start + a.size;
}

export function sameSlice(a: WantedSlice, b: WantedSlice): boolean {
  return a.profile === b.profile && a.start === b.start;
}

/** `3g.40gb@4`. */
export function formatSlice(slice: WantedSlice): string {
  return `${slice.profile}@${slice.start}`;
}

export function parseSlice(text: string): WantedSlice | undefined {
  const match = /^(.+)@(\d+)$/.exec(text);
  const profile = match?.[1] === undefined ? undefined : parseProfileName(match[1]);
  return profile === undefined ? undefined : { profile, start: Number(match?.[2]) };
}

/** The span of a slice on its grid, or `undefined` when the device does not list the profile. */
export function spanOf(grid: MigGrid, slice: WantedSlice): Span | undefined {
  const profile = findProfile(grid, slice.profile);
  return profile === undefined ? undefined : { start: slice.start, size: profile.size };
}
