import type { NodeName } from '@astrago/shared/domain/ids';
import type { Cluster } from '../cluster/cluster.ts';
import type { ObservedGpu, ObservedNode } from '../cluster/observed.ts';
import type { GpuStates } from '../placement/gpu-state.ts';
import type { Shape } from '../placement/shape.ts';
import type { GpuKind, GpuKinds } from './gpu-kind.ts';
import { standingOf } from './standing.ts';

/**
 * The GPUs of one kind on one node, which is where an ask goes: its GPUs come from one node and are alike. Most nodes
 * are one bay; a node without GPUs is one, too. Bays of a node share its CPU and memory.
 */
export interface Bay {
  readonly node: NodeName;
  readonly kind: GpuKind | undefined;
  readonly gpus: readonly ObservedGpu[];
}

export function baysOf(node: ObservedNode, kinds: GpuKinds): readonly Bay[] {
  if (node.gpus.length === 0) return [{ node: node.name, kind: undefined, gpus: [] }];
  return [...Map.groupBy(node.gpus, (gpu) => kinds.of(gpu))].map(([kind, gpus]) => ({ node: node.name, kind, gpus }));
}

/** What is free of a bay. */
export function shapeOf(cluster: Cluster, { node, kind, gpus }: Bay, pool: number, states: GpuStates): Shape {
  const observed = cluster.observed.get(node);
  const use = cluster.useOf(node);
  const open = new Uint16Array(gpus.length);
  let opened = 0;
  let others: number[] | undefined;
  let uncuttable = 0;
  for (const gpu of kind === undefined ? [] : gpus) {
    const standing = standingOf(cluster, gpu, kind as GpuKind, use.ofGpu(gpu.uuid));
    if (standing.kind === 'other') {
      others ??= [];
      others.push(states.idOf(standing.state));
      continue;
    }
    const { milli } = standing;
    let at = opened;
    for (; at > 0 && (open[at - 1] ?? 0) < milli; at -= 1) open[at] = open[at - 1] ?? 0;
    open[at] = milli;
    opened += 1;
    if (milli === 1000 && !standing.cuttable) uncuttable += 1;
  }
  return {
    pool,
    // A node may hold more than it has, after it was reported smaller.
    cpuMilli: Math.max(0, (observed?.cpuMilli ?? 0) - use.cpuMilli),
    memoryMiB: Math.max(0, (observed?.memoryMiB ?? 0) - use.memoryMiB),
    gpus: opened === open.length ? open : open.slice(0, opened),
    others: others === undefined ? undefined : Int32Array.from(others).sort(),
    uncuttable,
    marks: 0,
    worth: Number.NaN,
  };
}
