// Random clusters and asks for properties of the pure core, made from numbers that a test draws.
import type { ConditionKind } from '@astrago/shared/domain/condition';
import type { NodeName } from '@astrago/shared/domain/ids';
import { freeStarts } from '@astrago/shared/domain/mig/arrange';
import type { MigGrid } from '@astrago/shared/domain/mig/grid';
import type { WantedSlice } from '@astrago/shared/domain/mig/slice';
import type { Cluster } from './cluster.ts';
import type { ObservedGpu } from './observed.ts';
import type { GpuAsk, WorkloadRecord } from './records.ts';
import { a30, h100, l40s, sampleCluster, sampleWorkload, slice, whole } from './sample-cluster.ts';

/** The next number from 0 to 1, 1 excluded. */
export type Random = () => number;

export function below(random: Random, count: number): number {
  return Math.floor(random() * count);
}

export function pick<T>(random: Random, all: readonly T[]): T {
  return all[below(random, all.length)] as T;
}

const smallH100 = { ...h100, memoryMiB: 40_000 };
const racks = ['r1', 'r2', undefined];

/** One to `nodesMax` nodes of one to four GPUs, as they stand when nothing runs. */
export function sampleWorld(random: Random, nodesMax: number): Cluster {
  const names = Array.from({ length: 1 + below(random, nodesMax) }, (_, at) => `n${at}`);
  const cluster = sampleCluster(
    names.map((name) => ({
      name,
      gpus: Array.from({ length: random() < 0.1 ? 0 : 1 + below(random, 4) }, () => pick(random, [h100, h100, h100, a30, l40s, smallH100])),
      cpuMilli: 1000 * (4 + below(random, 60)),
      memoryMiB: 1000 * (8 + below(random, 100)),
    })),
  );
  for (const name of names) {
    if (random() < 0.5) changeNode(cluster, name as NodeName, random);
    if (random() < 0.4) observeAgain(cluster, name as NodeName, random);
  }
  cluster.keep();
  return cluster;
}

/** Cordons, labels and taints, some of them, or none. */
export function changeNode(cluster: Cluster, name: NodeName, random: Random): void {
  const rack = pick(random, racks);
  cluster.apply({
    kind: 'node',
    record: {
      ...{ name, address: undefined, bootId: undefined, cordoned: random() < 0.15 },
      labels: rack === undefined ? {} : { rack },
      taints: random() < 0.2 ? [pick(random, ['team=a', 'slow'])] : [],
    },
  });
}

/** Another state or health of a node and its GPUs; what is cut by others. Never less CPU or memory than is held. */
export function observeAgain(cluster: Cluster, name: NodeName, random: Random): void {
  const before = cluster.observed.get(name);
  if (before === undefined) return;
  const isFree = (gpu: ObservedGpu): boolean => cluster.allocationsOnGpu(gpu.uuid).length === 0;
  const kind = random() < 0.15 && before.gpus.every(isFree) ? 'other-mig-manager' : random() < 0.1 ? 'disk-full' : undefined;
  cluster.apply({
    kind: 'observed-node',
    node: {
      ...before,
      state: random() < 0.1 ? 'unreachable' : 'ready',
      conditions: kind === undefined ? [] : [condition(kind)],
      gpus: before.gpus.map((gpu) => ({
        ...gpu,
        conditions: random() < 0.1 ? [condition('xid-needs-reset')] : [],
        ...(isFree(gpu) && random() < 0.4 ? cutAtRandom(gpu.grid, random) : {}),
      })),
    },
  });
}

/** Pins a layout on a GPU that nothing runs on, or gives it back. */
export function pinAtRandom(cluster: Cluster, random: Random): void {
  const free = cluster.gpus().filter(({ uuid }) => cluster.allocationsOnGpu(uuid).length === 0);
  if (free.length === 0) return;
  const { uuid, node, grid } = pick(random, free);
  if (random() < 0.3) {
    cluster.apply({ kind: 'layout-forgotten', gpu: uuid });
    return;
  }
  const layout =
    grid === undefined || random() < 0.3 ? ({ kind: 'whole' } as const) : ({ kind: 'mig', slices: slicesAtRandom(grid, random) } as const);
  cluster.apply({ kind: 'layout', record: { gpu: uuid, node, layout, pinned: random() < 0.7 } });
}

function condition(kind: ConditionKind): ObservedGpu['conditions'][number] {
  return { kind, detail: 'so it is', sinceMs: 1 };
}

function cutAtRandom(grid: MigGrid | undefined, random: Random): Partial<ObservedGpu> {
  if (grid === undefined) return {};
  const slices = slicesAtRandom(grid, random).map((one, at) => ({
    ...one,
    ...{ size: 1, gpuInstanceId: at, computeInstanceId: 0, migUuid: `MIG-${at}` },
  }));
  return { migEnabled: slices.length > 0, slices };
}

function slicesAtRandom(grid: MigGrid, random: Random): readonly WantedSlice[] {
  const slices: WantedSlice[] = [];
  for (let tries = below(random, 6); tries > 0; tries -= 1) {
    const profile = pick(random, grid.profiles);
    const starts = freeStarts(grid, slices, profile);
    if (starts.length > 0) slices.push({ profile: profile.name, start: pick(random, starts) });
  }
  return slices;
}

const profiles = ['1g.10gb', '1g.20gb', '2g.20gb', '3g.40gb', '4g.40gb', '7g.80gb', '1g.10gb+me', '1g.6gb', '2g.12gb', '9g.99gb'];

export function askAtRandom(random: Random): GpuAsk {
  const kind = random();
  if (kind < 0.1) return { kind: 'none' };
  if (kind < 0.3) return whole(1 + below(random, 4));
  if (kind < 0.55) return { ...slice(pick(random, profiles)), ...(random() < 0.4 ? { count: 1 + below(random, 5) } : {}) } as GpuAsk;
  if (kind < 0.75)
    return { kind: 'least', memoryMiB: 1000 * (1 + below(random, 45)), computeSlices: 1 + below(random, 4), count: 1 + below(random, 4) };
  const memoryMiB = random() < 0.4 ? 1000 * (1 + below(random, 90)) : undefined;
  return { kind: 'share', by: pick(random, ['mps', 'time-slicing'] as const), milli: 1 + below(random, 999), memoryMiB };
}

export function workAtRandom(sequence: number, random: Random): WorkloadRecord {
  return sampleWorkload(sequence, askAtRandom(random), {
    ...{ cpuMilli: 500 * below(random, 12), memoryMiB: 500 * below(random, 12), priority: below(random, 3) },
    model: random() < 0.2 ? pick(random, ['h100', 'a30', 'nvidia h100', 'b200']) : undefined,
    ...(random() < 0.3
      ? {
          constraints: {
            nodeLabels: random() < 0.5 ? { rack: pick(random, ['r1', 'r2', 'r3']) } : undefined,
            tolerations: random() < 0.5 ? [pick(random, ['team', 'team=a', 'slow'])] : undefined,
          },
        }
      : {}),
  });
}
