// A GPU that has not been what was ordered for a while, and nobody is getting it there.
import type { GpuUuid } from '@astrago/shared/domain/ids';
import { formatLayout, type Layout } from '@astrago/shared/domain/mig/layout';
import type { ObservedGpu } from './ports.ts';

/** What was there when it last changed, and since when. */
export interface Drift {
  readonly gpu: GpuUuid;
  readonly shown: string;
  readonly sinceMs: number;
}

/** @param nowMs monotonic. */
export function driftOf(before: Drift | undefined, wanted: Layout, gpu: ObservedGpu, nowMs: number): Drift | undefined {
  const [ordered, live] = [formatLayout(wanted), formatLayout(liveLayout(gpu))];
  if (ordered === live) return undefined;
  const shown = `${ordered} is ordered, and ${live} is there`;
  // Any step that is taken changes what is there: then the difference is being worked on.
  return before?.shown === shown ? before : { gpu: gpu.uuid, shown, sinceMs: nowMs };
}

/** A slice without its compute instance is on its way, and not there. */
function liveLayout(gpu: ObservedGpu): Layout {
  if (!gpu.migEnabled) return { kind: 'whole' };
  return {
    kind: 'mig',
    slices: gpu.slices.filter(({ migUuid }) => migUuid !== undefined).map(({ profile, start }) => ({ profile, start })),
  };
}
