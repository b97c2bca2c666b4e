// Random pools for tests and benchmarks: legal layouts, partly used.

import type { NodeName } from '@astrago/shared/domain/ids';
import { type GpuUuid, parseGpuUuid } from '@astrago/shared/domain/ids';
import { freeStarts } from '@astrago/shared/domain/mig/arrange';
import type { MigGrid } from '@astrago/shared/domain/mig/grid';
import { inOrder } from '@astrago/shared/domain/mig/layout';
import { claimsMediaEngines, type ProfileName } from '@astrago/shared/domain/mig/profile';
import { parseSlice, type WantedSlice } from '@astrago/shared/domain/mig/slice';
import { seededRandom } from '../cluster/sample-random.ts';
import { type DemandClass, demandOf, type WaitingPiece } from './demand.ts';
import type { Movability, Pool, PoolGpu, Standing, UsedSlice } from './pool.ts';

/** A GPU of n0, cut as `layout` says, `used` in use by w0, w1, ...: each of these may move at a cost of 100 s, or stays. */
export function sampleGpu(index: number, grid: MigGrid, layout: string, used: string, move: Movability['kind'] = 'restart'): PoolGpu {
  const slices = (text: string): readonly WantedSlice[] => text.split(',').flatMap((part) => parseSlice(part) ?? []);
  const movable: Movability = move === 'stays' ? { kind: move } : { kind: move, lostSeconds: 100 };
  return {
    uuid: uuidOf(index),
    node: 'n0' as NodeName,
    grid,
    layout: layout === 'whole' ? { kind: 'whole' } : { kind: 'mig', slices: slices(layout) },
    used: slices(used).map((slice, at) => ({ ...slice, workload: `w${index}-${at}`, move: movable, cpuMilli: 1000, memoryMiB: 1000 })),
    usedWhole: false,
    standing: 'open',
  };
}

export function samplePoolOf(gpus: readonly PoolGpu[], freeCpuMilli = 100_000): Pool {
  return { model: 'sample', nodes: [{ name: 'n0' as NodeName, freeCpuMilli, freeMemoryMiB: 1_000_000 }], gpus };
}

/** One class: what waits since a moment ago, each piece with 1 CPU. */
export function sampleWant(grid: MigGrid, what: string | number, count = 1): readonly DemandClass[] {
  const profile = grid.profiles.find(({ name }) => name === what);
  const want =
    typeof what === 'number' ? ({ kind: 'whole', gpus: what } as const) : ({ kind: 'slice', profile: what as ProfileName } as const);
  const units = profile?.size ?? grid.placementUnits * Number(what);
  const queue = Array.from({ length: count }, () => ({ want, units, cpuMilli: 1000, memoryMiB: 1000, priority: 0, waitingSinceMs: 0 }));
  return demandOf({ queue, history: [], nowMs: 0, halfLifeMs: 1 });
}

export interface SamplePoolOptions {
  readonly seed: number;
  readonly nodes: number;
  readonly gpusPerNode: number;
  readonly grid: MigGrid;
  /** Of the slices, how many are in use; 0 to 1. */
  readonly busy: number;
  /** Of the used ones, how many may be moved. */
  readonly movable: number;
  /** Of the GPUs, how many are not open. */
  readonly notOpen: number;
  /** CPU of a node for each of its GPUs; a used slice and an asked one take up to 4000. */
  readonly cpuMilliPerGpu: number;
}

const notOpen: readonly Standing[] = ['pinned', 'cut-by-other', 'settling', 'ailing', 'closed'];

export function samplePool(options: SamplePoolOptions): Pool {
  const random = seededRandom(options.seed);
  const gpus: PoolGpu[] = [];
  const nodes = Array.from({ length: options.nodes }, (_, index) => {
    const name = `n${index}` as NodeName;
    for (let at = 0; at < options.gpusPerNode; at += 1) gpus.push(randomGpu(options, random, name, gpus.length));
    const taken = gpus.filter(({ node }) => node === name).flatMap(({ used }) => used);
    const all = options.cpuMilliPerGpu * options.gpusPerNode;
    return { name, freeCpuMilli: Math.max(0, all - taken.reduce((sum, { cpuMilli }) => sum + cpuMilli, 0)), freeMemoryMiB: 1_000_000 };
  });
  return { model: 'sample', nodes, gpus };
}

function randomGpu({ grid, ...options }: SamplePoolOptions, random: () => number, node: NodeName, index: number): PoolGpu {
  const standing = random() < options.notOpen ? (pick(notOpen, random) ?? 'open') : 'open';
  const gpu = { uuid: uuidOf(index), node, grid, standing, used: [], usedWhole: false };
  const kind = random();
  if (kind < 0.2) return { ...gpu, layout: { kind: 'whole' }, usedWhole: random() < options.busy };
  const slices = randomSlices(grid, random);
  const used = slices.filter(() => random() < options.busy).map((slice, at) => useOf(slice, `w${index}-${at}`, options.movable, random));
  return { ...gpu, layout: { kind: 'mig', slices: inOrder(slices) }, used };
}

function randomSlices(grid: MigGrid, random: () => number): readonly WantedSlice[] {
  const slices: WantedSlice[] = [];
  for (let tries = Math.floor(random() * 9); tries > 0; tries -= 1) {
    const profile = pick(grid.profiles, random);
    if (profile === undefined) continue;
    const start = pick(freeStarts(grid, slices, profile), random);
    if (start !== undefined) slices.push({ profile: profile.name, start });
  }
  return slices;
}

function useOf(slice: WantedSlice, workload: string, movable: number, random: () => number): UsedSlice {
  const move: Movability =
    random() < movable ? { kind: random() < 0.5 ? 'restart' : 'checkpoint', lostSeconds: Math.floor(random() * 3600) } : { kind: 'stays' };
  return { ...slice, workload, move, cpuMilli: Math.floor(random() * 5) * 1000, memoryMiB: 1000 };
}

/** @param pieces that wait. */
export function sampleDemand(grid: MigGrid, seed: number, pieces: number): readonly DemandClass[] {
  const random = seededRandom(seed ^ 0x5bd1e995);
  const profiles = grid.profiles.filter(({ name }) => !claimsMediaEngines(name));
  const queue = Array.from({ length: pieces }, (): WaitingPiece => {
    const common = {
      cpuMilli: Math.floor(random() * 3) * 2000,
      memoryMiB: 1000,
      priority: Math.floor(random() * 2),
      waitingSinceMs: 10_000_000 - Math.floor(random() * 3) * 300_000,
    };
    const profile = pick(profiles, random);
    if (profile === undefined || random() < 0.15) {
      const gpus = random() < 0.7 ? 1 : 2;
      return { ...common, want: { kind: 'whole', gpus }, units: gpus * grid.placementUnits };
    }
    return { ...common, want: { kind: 'slice', profile: profile.name as ProfileName }, units: profile.size };
  });
  return demandOf({ queue, history: [], nowMs: 10_000_000, halfLifeMs: 1 });
}

function pick<T>(from: readonly T[], random: () => number): T | undefined {
  return from[Math.floor(random() * from.length)];
}

function uuidOf(index: number): GpuUuid {
  const uuid = parseGpuUuid(`GPU-${String(index).padStart(8, '0')}-0000-0000-0000-000000000000`);
  if (uuid === undefined) throw new Error('a sample has a UUID');
  return uuid;
}
