// The ways in which one GPU could be cut that are worth looking at: what each offers, and what it costs to get there.
import { freeStarts } from '@astrago/shared/domain/mig/arrange';
import { findProfile, type MigGrid } from '@astrago/shared/domain/mig/grid';
import { formatLayout, inOrder, type Layout } from '@astrago/shared/domain/mig/layout';
import type { Profile, ProfileName } from '@astrago/shared/domain/mig/profile';
import { formatSlice, sameSlice, type WantedSlice } from '@astrago/shared/domain/mig/slice';
import { changeCost } from './change-cost.ts';
import { gridKey } from './grid-key.ts';
import { idleSlices, type PoolGpu } from './pool.ts';

export interface GpuPattern {
  readonly layout: Layout;
  /** Idle slices of each wanted profile, in the order in which they were asked for; no more than were wanted. */
  readonly offers: readonly number[];
  /** It is free in one piece. */
  readonly whole: boolean;
  /** See {@link changeCost}; 0 for the present layout. */
  readonly cost: number;
}

/** @param most pieces wanted of each profile: more than these are not looked for. */
export interface Wanted {
  readonly profiles: readonly ProfileName[];
  readonly most: readonly number[];
  readonly whole: boolean;
}

/** Equal for GPUs that have the same patterns. */
export function stateKey(gpu: PoolGpu): string {
  const used = inOrder(gpu.used).map(formatSlice).join(',');
  return `${gpu.standing === 'open' ? 'open' : 'as-it-is'}|${gridKey(gpu.grid)}|${formatLayout(gpu.layout)}|${used}`;
}

/** None is both poorer and dearer than another. The present layout is always among them, and first. */
export function patternsOf(gpu: PoolGpu, wanted: Wanted): readonly GpuPattern[] {
  const present = presentPattern(gpu, wanted);
  if (gpu.standing !== 'open') return [present];
  const found = new Map<string, GpuPattern>();
  const offer = (pattern: GpuPattern): void => {
    const key = `${pattern.offers.join()}|${pattern.whole}`;
    const known = found.get(key);
    if (known === undefined || pattern.cost < known.cost) found.set(key, pattern);
  };
  if (wanted.whole && gpu.used.length === 0) offer(patternAs(gpu, wanted, { kind: 'whole' }));
  if (gpu.grid !== undefined) for (const slices of cuts(gpu, gpu.grid, wanted)) offer(patternAs(gpu, wanted, { kind: 'mig', slices }));
  const all = [present, ...found.values()];
  return all.filter((one, index) => index === 0 || !all.some((other, at) => other !== one && outdoes(other, one, at < index)));
}

function outdoes(a: GpuPattern, b: GpuPattern, first: boolean): boolean {
  if (a.cost > b.cost || (b.whole && !a.whole) || a.offers.some((count, index) => count < (b.offers[index] ?? 0))) return false;
  const same = a.cost === b.cost && a.whole === b.whole && a.offers.every((count, index) => count === b.offers[index]);
  return !same || first;
}

function presentPattern(gpu: PoolGpu, wanted: Wanted): GpuPattern {
  return { ...patternAs(gpu, wanted, gpu.layout), cost: 0 };
}

function patternAs(gpu: PoolGpu, { profiles, most, whole }: Wanted, layout: Layout): GpuPattern {
  const slices = layout.kind === 'mig' ? layout.slices : [];
  const idle = slices.filter((slice) => !gpu.used.some((used) => sameSlice(used, slice)));
  const offers = profiles.map((profile, index) => Math.min(most[index] ?? 0, idle.filter((slice) => slice.profile === profile).length));
  return { layout, offers, whole: whole && layout.kind === 'whole' && gpu.used.length === 0, cost: changeCost(gpu.layout, layout) };
}

/** Every legal set of wanted slices beside the used ones, filled up with the idle ones that stay legal. */
function cuts(gpu: PoolGpu, grid: MigGrid, { profiles, most }: Wanted): readonly (readonly WantedSlice[])[] {
  const used = gpu.used.map(({ profile, start }) => ({ profile, start }));
  const idle = inOrder(idleSlices(gpu));
  const found: (readonly WantedSlice[])[] = [];
  const known = profiles.map((name) => findProfile(grid, name));
  const extend = (added: readonly WantedSlice[], at: number, above: number, left: number): void => {
    const profile = known[at];
    if (at >= known.length) {
      if (added.length > 0) found.push(withIdle(grid, [...used, ...added], idle));
      return;
    }
    extend(added, at + 1, -1, most[at + 1] ?? 0);
    if (profile === undefined || left === 0) return;
    for (const start of freeStarts(grid, [...used, ...added], profile))
      if (start > above) extend([...added, { profile: profile.name, start }], at, start, left - 1);
  };
  extend([], 0, -1, most[0] ?? 0);
  return found;
}

/** `kept`, and of the idle slices, in order, those that stay legal beside them. */
export function withIdle(grid: MigGrid, kept: readonly WantedSlice[], idle: readonly WantedSlice[]): readonly WantedSlice[] {
  const slices = [...kept];
  for (const slice of idle) {
    if (slices.some((other) => sameSlice(other, slice))) continue;
    const profile: Profile | undefined = findProfile(grid, slice.profile);
    if (profile !== undefined && freeStarts(grid, slices, profile).includes(slice.start)) slices.push(slice);
  }
  return inOrder(slices);
}
