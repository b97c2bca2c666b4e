// Where a slice could go on one GPU, and how good that is.

import { freeStarts, openness } from '@astrago/shared/domain/mig/arrange';
import { findProfile, type MigGrid } from '@astrago/shared/domain/mig/grid';
import { inOrder } from '@astrago/shared/domain/mig/layout';
import type { Profile, ProfileName } from '@astrago/shared/domain/mig/profile';
import { formatSlice, overlaps, sameSlice, spanOf, type WantedSlice } from '@astrago/shared/domain/mig/slice';
import type { WaitingReason } from '../reason.ts';
import type { GpuView } from './gpu-view.ts';

export interface SliceFit {
  readonly slice: WantedSlice;
  /** The layout to order, or absent when the slice is already in it. */
  readonly recut: readonly WantedSlice[] | undefined;
  /** Free memory units left on the GPU afterwards: best fit takes the fewest. */
  readonly leftover: number;
  /** What stays open to others on this GPU, see `openness`: more is better. */
  readonly openness: number;
}

export type SliceAnswer = { readonly kind: 'fits'; readonly fit: SliceFit } | { readonly kind: 'no'; readonly reason: WaitingReason };

export function fitSlice(view: GpuView, profileName: ProfileName): SliceAnswer {
  const profile = view.grid === undefined ? undefined : findProfile(view.grid, profileName);
  if (view.grid === undefined || profile === undefined) return { kind: 'no', reason: 'NoSuchProfileOnModel' };
  if (!view.healthy) return { kind: 'no', reason: 'DeviceUnhealthy' };
  if (view.heldWhole) return { kind: 'no', reason: 'WaitingForSlots' };
  const candidate =
    view.fixed !== undefined
      ? bestOf(
          view,
          view.grid,
          view.free.filter((slice) => slice.profile === profileName),
        )
      : bestAnywhere(view, view.grid, profile);
  if (candidate === undefined) return { kind: 'no', reason: whyNot(view, profile) };
  const leftover = view.freeUnits.memory - profile.size;
  return { kind: 'fits', fit: { ...candidate, leftover } };
}

function whyNot(view: GpuView, profile: Profile): WaitingReason {
  if (view.fixed !== undefined) return view.fixed;
  const enough = view.freeUnits.compute >= profile.computeSlices && view.freeUnits.memory >= profile.size;
  return enough ? 'FragmentedSlots' : 'WaitingForSlots';
}

type Candidate = Omit<SliceFit, 'leftover'>;

function bestOf(view: GpuView, grid: MigGrid, slices: readonly WantedSlice[]): Candidate | undefined {
  return slices.map((slice): Candidate => ({ slice, recut: undefined, openness: opennessAfter(grid, view.held, slice) })).sort(better)[0];
}

/** Free slices as they are, and every legal start between the held ones; free slices in the way give way. */
function bestAnywhere(view: GpuView, grid: MigGrid, profile: Profile): Candidate | undefined {
  const candidates = freeStarts(grid, view.held, profile).map((start): Candidate => {
    const slice = { profile: profile.name, start };
    const ready = view.free.some((other) => sameSlice(other, slice));
    return { slice, recut: ready ? undefined : recutFor(grid, view, slice), openness: opennessAfter(grid, view.held, slice) };
  });
  return candidates.sort(better)[0];
}

/** Most open to others, then ready over recut, then the higher start. */
function better(a: Candidate, b: Candidate): number {
  return b.openness - a.openness || Number(a.recut !== undefined) - Number(b.recut !== undefined) || b.slice.start - a.slice.start;
}

/** Held slices, the new one, and those free ones that stay legal beside them. */
function recutFor(grid: MigGrid, view: GpuView, slice: WantedSlice): readonly WantedSlice[] {
  const kept = [...view.held, slice];
  for (const free of inOrder(view.free)) {
    const span = spanOf(grid, free);
    const profile = findProfile(grid, free.profile);
    if (span === undefined || profile === undefined) continue;
    const clear = kept.every((other) => {
      const taken = spanOf(grid, other);
      return taken === undefined || !overlaps(span, taken);
    });
    if (clear && freeStarts(grid, kept, profile).includes(free.start)) kept.push(free);
  }
  return inOrder(kept);
}

// The same few held sets come up again and again, on every GPU of a model: a pure table look-up after the first time.
const opennessByGrid = new WeakMap<MigGrid, Map<string, number>>();

function opennessAfter(grid: MigGrid, held: readonly WantedSlice[], slice: WantedSlice): number {
  const table = opennessByGrid.get(grid) ?? new Map<string, number>();
  opennessByGrid.set(grid, table);
  const slices = [...held, slice];
  const key = inOrder(slices).map(formatSlice).join(',');
  const known = table.get(key);
  if (known !== undefined) return known;
  const value = openness(grid, slices);
  table.set(key, value);
  return value;
}
