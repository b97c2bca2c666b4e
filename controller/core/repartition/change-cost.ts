// What it costs to cut a GPU anew: to be compared, not to be paid.
import type { Layout } from '@astrago/shared/domain/mig/layout';
import { sameLayout } from '@astrago/shared/domain/mig/layout';
import { sameSlice, type WantedSlice } from '@astrago/shared/domain/mig/slice';

/** More than all slices of one GPU: first as few GPUs as can be are changed, then as few slices as can be destroyed. */
const perGpu = 16;

/** 0 for no change; a change of the MIG mode, for which the GPU must be idle, costs as much as a second GPU. */
export function changeCost(before: Layout, after: Layout): number {
  if (sameLayout(before, after)) return 0;
  return perGpu + destroyedSlices(before, after).length + (before.kind === after.kind ? 0 : perGpu);
}

export function destroyedSlices(before: Layout, after: Layout): readonly WantedSlice[] {
  if (before.kind === 'whole') return [];
  const kept = after.kind === 'whole' ? [] : after.slices;
  return before.slices.filter((slice) => !kept.some((other) => sameSlice(other, slice)));
}
