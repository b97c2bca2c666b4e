import { findProfile, type MigGrid } from './grid.ts';
import { claimsMediaEngines } from './profile.ts';
import { formatSlice, overlaps, spanOf, type WantedSlice } from './slice.ts';

/** How one GPU is divided. */
export type Layout = { readonly kind: 'whole' } | { readonly kind: 'mig'; readonly slices: readonly WantedSlice[] };

export type LayoutViolation =
  | { readonly kind: 'unknown-profile'; readonly slice: WantedSlice }
  | { readonly kind: 'illegal-start'; readonly slice: WantedSlice; readonly starts: readonly number[] }
  | { readonly kind: 'overlap'; readonly slice: WantedSlice; readonly other: WantedSlice }
  | { readonly kind: 'too-many'; readonly slice: WantedSlice; readonly instancesMax: number }
  | { readonly kind: 'compute-exceeded'; readonly asked: number; readonly computeSlices: number }
  | { readonly kind: 'media-engines-taken'; readonly slice: WantedSlice; readonly other: WantedSlice };

/**
 * Everything that is wrong with a set of slices on a device; empty when the driver would accept it.
 *
 * Rules: starts and lengths of the device's placement table, no overlap, at most `instancesMax` of
 * a profile, compute within the device, one holder of the media engines.
 */
export function violationsOf(grid: MigGrid, slices: readonly WantedSlice[]): readonly LayoutViolation[] {
  const found: LayoutViolation[] = [];
  const counts = new Map<string, number>();
  let compute = 0;
  for (const [index, slice] of slices.entries()) {
    const profile = findProfile(grid, slice.profile);
    if (profile === undefined) {
      found.push({ kind: 'unknown-profile', slice });
      continue;
    }
    if (!profile.starts.includes(slice.start)) found.push({ kind: 'illegal-start', slice, starts: profile.starts });
    compute += profile.computeSlices;
    const count = (counts.get(profile.name) ?? 0) + 1;
    counts.set(profile.name, count);
    if (count === profile.instancesMax + 1) {
      found.push({ kind: 'too-many', slice, instancesMax: profile.instancesMax });
    }
    for (const other of slices.slice(0, index)) {
      const span = spanOf(grid, other);
      if (span === undefined) continue;
      if (overlaps({ start: slice.start, size: profile.size }, span)) found.push({ kind: 'overlap', slice, other });
      if (claimsMediaEngines(slice.profile) && claimsMediaEngines(other.profile)) {
        found.push({ kind: 'media-engines-taken', slice, other });
      }
    }
  }
  if (compute > grid.computeSlices) {
    found.push({ kind: 'compute-exceeded', asked: compute, computeSlices: grid.computeSlices });
  }
  return found;
}

export function isLegal(grid: MigGrid, slices: readonly WantedSlice[]): boolean {
  return violationsOf(grid, slices).length === 0;
}

/** One sentence a person can act on. */
export function describeViolation(violation: LayoutViolation): string {
  switch (violation.kind) {
    case 'unknown-profile':
      return `the device has no profile ${violation.slice.profile}`;
    case 'illegal-start':
      return `${violation.slice.profile} can start only at ${violation.starts.join(', ')}, not at ${violation.slice.start}`;
    case 'overlap':
      return `${formatSlice(violation.slice)} overlaps ${formatSlice(violation.other)}`;
    case 'too-many':
      return `the device holds at most ${violation.instancesMax} of ${violation.slice.profile}`;
    case 'compute-exceeded':
      return `${violation.asked} compute slices asked, the device has ${violation.computeSlices}`;
    case 'media-engines-taken':
      return `${formatSlice(violation.slice)} and ${formatSlice(violation.other)} both claim the media engines`;
    default:
      return violation satisfies never;
  }
}

/** `whole`, or slices in start order: `3g.40gb@0,1g.10gb@4`; `mig` for MIG mode without slices. */
export function formatLayout(layout: Layout): string {
  if (layout.kind === 'whole') return 'whole';
  if (layout.slices.length === 0) return 'mig';
  return inOrder(layout.slices).map(formatSlice).join(',');
}

/** By start, then name: the one order in which layouts are shown and compared. */
export function inOrder(slices: readonly WantedSlice[]): readonly WantedSlice[] {
  return slices.toSorted((a, b) => a.start - b.start || (a.profile < b.profile ? -1 : a.profile > b.profile ? 1 : 0));
}

export function sameLayout(a: Layout, b: Layout): boolean {
  return formatLayout(a) === formatLayout(b);
}
