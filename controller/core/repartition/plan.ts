// From a wish for a GPU's layout to explicit placements that keep every slice in use, or the names in the way.
import { forbidsChange } from '@astrago/shared/domain/condition';
import type { GpuUuid } from '@astrago/shared/domain/ids';
import { arrange } from '@astrago/shared/domain/mig/arrange';
import type { MigGrid } from '@astrago/shared/domain/mig/grid';
import { describeViolation, inOrder, type Layout, violationsOf } from '@astrago/shared/domain/mig/layout';
import type { ProfileName } from '@astrago/shared/domain/mig/profile';
import type { LayoutRequest } from '@astrago/shared/domain/mig/request';
import { formatSlice, sameSlice, type WantedSlice } from '@astrago/shared/domain/mig/slice';
import type { Cluster } from '../cluster/cluster.ts';
import type { ObservedGpu } from '../cluster/observed.ts';

export interface HeldSlice extends WantedSlice {
  readonly workload: string;
}

export interface LayoutPlan {
  readonly kind: 'plan';
  readonly layout: Layout;
  readonly keep: readonly (WantedSlice & { readonly workload: string | undefined })[];
  readonly create: readonly WantedSlice[];
  readonly destroy: readonly WantedSlice[];
  readonly modeChange: 'none' | 'enable' | 'disable';
  readonly text: string;
}

export type LayoutAnswer =
  | LayoutPlan
  /** Workloads whose devices the wish does not keep. */
  | { readonly kind: 'blocked'; readonly blockers: readonly string[]; readonly text: string }
  /** The device cannot be cut like this, whoever uses it. */
  | { readonly kind: 'impossible'; readonly text: string };

export function planLayout(cluster: Cluster, uuid: GpuUuid, request: LayoutRequest): LayoutAnswer {
  const gpu = cluster.gpu(uuid);
  if (gpu === undefined) return { kind: 'impossible', text: 'the GPU is not reported by any node now' };
  const lost = gpu.conditions.find(({ kind }) => forbidsChange(kind));
  if (lost !== undefined) return { kind: 'impossible', text: `nothing is changed on a GPU with ${lost.kind}: ${lost.detail}` };
  const held = holders(cluster, gpu);
  if (request.kind === 'whole') {
    const inTheWay = held.slices.map((slice) => slice.workload);
    if (inTheWay.length > 0) return blocked(inTheWay, 'whole needs the GPU to be free of slices');
    return plan(cluster, gpu, { kind: 'whole' }, held.slices);
  }
  if (gpu.grid === undefined) return { kind: 'impossible', text: `${gpu.model} cannot be cut by MIG, or did not list its profiles` };
  if (held.whole !== undefined) return blocked([held.whole], 'the whole GPU is in use');
  return planSlices(cluster, gpu, gpu.grid, request, held.slices);
}

function planSlices(
  cluster: Cluster,
  gpu: ObservedGpu,
  grid: MigGrid,
  request: Extract<LayoutRequest, { kind: 'mig' }>,
  held: readonly HeldSlice[],
): LayoutAnswer {
  const { fixed, anywhere } = request;
  const alone = arrange(grid, fixed, anywhere);
  if (alone === undefined) return { kind: 'impossible', text: whyImpossible(grid, fixed, anywhere) };
  // Slices in use stand where they are and count as the ones asked for, first those asked at their very start.
  const left = [...anywhere];
  const unmatched: HeldSlice[] = [];
  for (const slice of held) {
    if (fixed.some((other) => sameSlice(other, slice))) continue;
    const index = left.indexOf(slice.profile);
    if (index < 0) unmatched.push(slice);
    else left.splice(index, 1);
  }
  if (unmatched.length > 0)
    return blocked(
      unmatched.map((slice) => slice.workload),
      `the layout has no place for ${unmatched.map(formatSlice).join(', ')}`,
    );
  const kept = [
    ...held.map(({ profile, start }) => ({ profile, start })),
    ...fixed.filter((slice) => !held.some((other) => sameSlice(other, slice))),
  ];
  const slices = violationsOf(grid, kept).length > 0 ? undefined : arrangeKeepingFree(cluster, gpu, grid, kept, left);
  if (slices === undefined)
    return blocked(inTheWay(grid, held, fixed, anywhere), 'the slices in use stand where the layout needs the room');
  return plan(cluster, gpu, { kind: 'mig', slices: inOrder(slices) }, held);
}

/** Free slices of the present layout are re-used where the wish has room for them, so that less is destroyed. */
function arrangeKeepingFree(
  cluster: Cluster,
  gpu: ObservedGpu,
  grid: MigGrid,
  kept: readonly WantedSlice[],
  wanted: readonly ProfileName[],
): readonly WantedSlice[] | undefined {
  const layout = cluster.layoutOf(gpu);
  const present = layout.kind === 'mig' ? layout.slices : [];
  const left = [...wanted];
  const reused: WantedSlice[] = [];
  for (const slice of inOrder(present)) {
    const index = left.indexOf(slice.profile);
    if (index < 0 || violationsOf(grid, [...kept, ...reused, slice]).length > 0) continue;
    left.splice(index, 1);
    reused.push(slice);
  }
  return arrange(grid, [...kept, ...reused], left) ?? arrange(grid, kept, wanted);
}

/** The fewest holders without which it would work, tried one by one; all of them when no single one is enough. */
function inTheWay(
  grid: MigGrid,
  held: readonly HeldSlice[],
  fixed: readonly WantedSlice[],
  anywhere: readonly ProfileName[],
): readonly string[] {
  const works = (kept: readonly HeldSlice[]): boolean => {
    const left = [...anywhere];
    for (const slice of kept) {
      if (fixed.some((other) => sameSlice(other, slice))) continue;
      const index = left.indexOf(slice.profile);
      if (index >= 0) left.splice(index, 1);
    }
    const placed = [...kept, ...fixed.filter((slice) => !kept.some((other) => sameSlice(other, slice)))];
    return arrange(grid, placed, left) !== undefined;
  };
  let kept = [...held];
  const out: string[] = [];
  // Greedy from the first: drop a holder only if the others without it could not do with it in place.
  for (const slice of held) {
    if (works(kept)) break;
    const without = kept.filter((other) => other !== slice);
    const single = held.find((one) => works(kept.filter((other) => other !== one)));
    if (single !== undefined) return [...out, single.workload];
    kept = without;
    out.push(slice.workload);
  }
  return out;
}

function whyImpossible(grid: MigGrid, fixed: readonly WantedSlice[], anywhere: readonly ProfileName[]): string {
  const violations = violationsOf(grid, fixed);
  if (violations.length > 0) return violations.map(describeViolation).join('; ');
  const unknown = anywhere.filter((name) => !grid.profiles.some((profile) => profile.name === name));
  const offered = grid.profiles.map((profile) => profile.name).join(', ');
  if (unknown.length > 0) return `the device has no profile ${[...new Set(unknown)].join(', ')}; it offers ${offered}`;
  return `no legal placement holds all of ${[...fixed.map(formatSlice), ...anywhere].join(', ')} on ${grid.computeSlices} compute slices and ${grid.placementUnits} placement units`;
}

function blocked(blockers: readonly string[], what: string): LayoutAnswer {
  const names = [...new Set(blockers)].sort();
  return {
    kind: 'blocked',
    blockers: names,
    text: `${what}; in the way: ${names.join(', ')}. Stop ${names.length === 1 ? 'it' : 'them'}, wait, or ask for a layout that keeps ${names.length === 1 ? 'its slice' : 'their slices'}`,
  };
}

function holders(cluster: Cluster, gpu: ObservedGpu): { readonly whole: string | undefined; readonly slices: readonly HeldSlice[] } {
  const slices: HeldSlice[] = [];
  let whole: string | undefined;
  for (const allocation of cluster.allocationsOnGpu(gpu.uuid)) {
    // Work that has ended for its user but not on its node is named by its id.
    const workload = cluster.workloads.get(allocation.workload)?.name ?? allocation.workload;
    for (const device of allocation.devices) {
      if (device.gpu !== gpu.uuid) continue;
      if (device.slice === undefined) whole = workload;
      else slices.push({ ...device.slice, workload });
    }
  }
  return { whole, slices };
}

function plan(cluster: Cluster, gpu: ObservedGpu, layout: Layout, held: readonly HeldSlice[]): LayoutPlan {
  const before = cluster.layoutOf(gpu);
  const had = before.kind === 'mig' ? before.slices : [];
  const wanted = layout.kind === 'mig' ? layout.slices : [];
  const keep = wanted
    .filter((slice) => had.some((other) => sameSlice(other, slice)))
    .map((slice) => ({ ...slice, workload: held.find((other) => sameSlice(other, slice))?.workload }));
  const create = wanted.filter((slice) => !had.some((other) => sameSlice(other, slice)));
  const destroy = had.filter((slice) => !wanted.some((other) => sameSlice(other, slice)));
  const modeChange = before.kind === layout.kind ? 'none' : layout.kind === 'mig' ? 'enable' : 'disable';
  return { kind: 'plan', layout, keep, create, destroy, modeChange, text: describe(keep, create, destroy, modeChange) };
}

function describe(
  keep: LayoutPlan['keep'],
  create: readonly WantedSlice[],
  destroy: readonly WantedSlice[],
  modeChange: LayoutPlan['modeChange'],
): string {
  const parts = [
    ...(modeChange === 'none' ? [] : [`${modeChange} MIG mode`]),
    ...keep.map((slice) => `keep ${formatSlice(slice)}${slice.workload === undefined ? '' : ` (in use by ${slice.workload})`}`),
    ...destroy.map((slice) => `destroy ${formatSlice(slice)}`),
    ...create.map((slice) => `create ${formatSlice(slice)}`),
  ];
  return parts.length === 0 ? 'nothing to change' : parts.join(' · ');
}
