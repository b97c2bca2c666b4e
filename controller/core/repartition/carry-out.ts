// What of a plan can be ordered now: a place that somebody has to leave first is cut when it is free, not before.
import type { GpuUuid, NodeName } from '@astrago/shared/domain/ids';
import { isLegal, type Layout } from '@astrago/shared/domain/mig/layout';
import { sameSlice, type WantedSlice } from '@astrago/shared/domain/mig/slice';
import { withIdle } from './gpu-patterns.ts';
import { idleSlices, type Pool, type PoolGpu } from './pool.ts';
import type { Move, RepartitionPlan } from './repartition-plan.ts';

export interface OrdersNow {
  readonly layouts: readonly { readonly gpu: GpuUuid; readonly node: NodeName; readonly layout: Layout }[];
  /** Their places are in the layouts, and free. */
  readonly moves: readonly Move[];
}

/**
 * A GPU that nobody leaves is cut as planned. Where somebody leaves, the layout keeps what is in use until it is gone;
 * what waits is then cut for by the scheduler. Moves to a place that is still in use come with a later plan.
 */
export function ordersNow(pool: Pool, plan: RepartitionPlan): OrdersNow {
  const left = new Set(plan.moves.map(({ from }) => from.gpu));
  const rooms = new Map(pool.nodes.map((node) => [node.name, { cpu: node.freeCpuMilli, memory: node.freeMemoryMiB }]));
  const arrived = new Map<GpuUuid, readonly WantedSlice[]>();
  const moves = plan.moves.filter(({ workload, from, to }) => {
    const target = pool.gpus.find(({ uuid }) => uuid === to.gpu);
    const mover = pool.gpus.find(({ uuid }) => uuid === from.gpu)?.used.find((used) => used.workload === workload);
    const room = target === undefined ? undefined : rooms.get(target.node);
    if (target?.grid === undefined || mover === undefined || room === undefined) return false;
    // It holds its old place, too, until it has ended there.
    if (room.cpu < mover.cpuMilli || room.memory < mover.memoryMiB) return false;
    const there = arrived.get(to.gpu) ?? [];
    if (!isLegal(target.grid, [...target.used, ...there, to.slice])) return false;
    room.cpu -= mover.cpuMilli;
    room.memory -= mover.memoryMiB;
    arrived.set(to.gpu, [...there, to.slice]);
    return true;
  });
  const layouts = pool.gpus.flatMap((gpu) => {
    const change = plan.changes.find((one) => one.gpu === gpu.uuid);
    const layout = left.has(gpu.uuid) || change === undefined ? withArrived(gpu, arrived.get(gpu.uuid) ?? []) : change.layout;
    return layout === undefined ? [] : [{ gpu: gpu.uuid, node: gpu.node, layout }];
  });
  return { layouts, moves };
}

function withArrived(gpu: PoolGpu, arrived: readonly WantedSlice[]): Layout | undefined {
  if (arrived.length === 0 || gpu.grid === undefined) return undefined;
  const present = gpu.layout.kind === 'mig' ? gpu.layout.slices : [];
  if (arrived.every((slice) => present.some((one) => sameSlice(one, slice)))) return gpu.layout;
  const kept = [...gpu.used.map(({ profile, start }) => ({ profile, start })), ...arrived];
  return { kind: 'mig', slices: withIdle(gpu.grid, kept, idleSlices(gpu)) };
}
