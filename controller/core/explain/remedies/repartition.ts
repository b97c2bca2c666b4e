import { formatLayout, type Layout } from '@astrago/shared/domain/mig/layout';
import type { LayoutRequest } from '@astrago/shared/domain/mig/request';
import type { GpuAsk, LayoutRecord } from '../../cluster/records.ts';
import { planLayout } from '../../repartition/plan.ts';
import type { GpuView } from '../../scheduling/gpu-view.ts';
import { profilesFor } from '../node-look.ts';
import { nodeViews } from '../node-view.ts';
import type { Candidate, RecutGpu } from '../remedy.ts';
import { smallestSet } from '../smallest-set.ts';
import { type Changes, fitsAfter, type Trial } from '../trial.ts';
import { listed } from '../words.ts';

/** Alternatives that are told. */
const setsMax = 2;
/** Of more pinned GPUs than this only the first are planned. */
const gpusMax = 64;

interface Recut {
  readonly record: LayoutRecord;
  readonly gpu: RecutGpu;
}

/** Pinned layouts that could be made anew for it around all that is held, and stay pinned. */
export function repartition(trial: Trial): readonly Candidate[] {
  const { cluster, workload } = trial;
  const found: Candidate[] = [];
  let left = nodeViews(cluster)
    .filter(({ closed, groups }) => closed === undefined && groups.some(({ views }) => views.some(isPinned)))
    .flatMap(({ groups }) => groups.flatMap(({ views }) => views))
    .filter(isPinned)
    .slice(0, gpusMax)
    .flatMap((view) => recutFor(trial, view, workload.ask));
  while (found.length < setsMax) {
    const set = smallestSet(left, (some) => fitsAfter(trial, orders(some)));
    if (set === undefined) break;
    const where = set.map(({ gpu }) => `${gpu.node}/${gpu.index} to ${gpu.layout}`);
    const text = `fits after a repartition of ${listed(where, 'and')} (no one moves)`;
    found.push({ remedy: { kind: 'repartition', gpus: set.map(({ gpu }) => gpu), text }, changes: orders(set) });
    if (set.length > 1) break;
    left = left.filter((one) => !set.includes(one));
  }
  return found;
}

function isPinned({ fixed, heldWhole, healthy }: GpuView): boolean {
  return fixed === 'LayoutPinned' && !heldWhole && healthy;
}

function orders(recuts: readonly Recut[]): Changes {
  return recuts.map(({ record }) => ({ kind: 'layout', record }));
}

function recutFor({ cluster }: Trial, view: GpuView, ask: GpuAsk): readonly Recut[] {
  const layout = wishFor(view, ask)
    .map((wish) => planLayout(cluster, view.gpu.uuid, wish))
    .find((answer) => answer.kind === 'plan')?.layout;
  if (layout === undefined) return [];
  const { uuid, node, index } = view.gpu;
  return [
    {
      record: { gpu: uuid, node, layout, pinned: true },
      gpu: { node, index, uuid, layout: textOf(layout) },
    },
  ];
}

function textOf(layout: Layout): string {
  return layout.kind === 'whole' ? 'whole' : formatLayout(layout);
}

/** The held slices and as many of what is asked as there is room for, the most first. */
function wishFor(view: GpuView, ask: GpuAsk): readonly LayoutRequest[] {
  if (ask.kind === 'whole' || ask.kind === 'share') return [{ kind: 'whole' }];
  if (ask.kind === 'none') return [];
  const [smallest] = [...profilesFor(view.grid, ask)].sort((a, b) => a.size - b.size || a.computeSlices - b.computeSlices);
  if (smallest === undefined) return [];
  const most = Math.min(ask.count ?? 1, smallest.instancesMax);
  return Array.from({ length: most }, (_, at) => {
    const fresh = new Array(most - at).fill(smallest.name);
    // Free slices are kept where they leave the room, so that others still find them.
    return [
      { kind: 'mig', fixed: [...view.held, ...view.free], anywhere: fresh } as const,
      { kind: 'mig', fixed: view.held, anywhere: fresh } as const,
    ];
  }).flat();
}
