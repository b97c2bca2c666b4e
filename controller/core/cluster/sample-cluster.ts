// Small clusters for tests of the pure core: real grids, made-up nodes.
import type { AllocationId, GpuUuid, NodeName, WorkloadId, WorkloadName, WorkspaceName } from '@astrago/shared/domain/ids';
import { gridOf, type MigGrid } from '@astrago/shared/domain/mig/grid';
import { computeSlicesOf, type ProfileName } from '@astrago/shared/domain/mig/profile';
import { Cluster } from './cluster.ts';
import type { ObservedGpu, ObservedNode } from './observed.ts';
import type { GpuAsk, WorkloadRecord } from './records.ts';

type Row = readonly [name: string, id: number, starts: readonly number[], size: number, instancesMax: number];

function grid(rows: readonly Row[]): MigGrid {
  const made = gridOf(
    rows.map(([name, gpuInstanceProfileId, starts, size, instancesMax]) => ({
      name: name as ProfileName,
      gpuInstanceProfileId,
      computeSlices: computeSlicesOf(name as ProfileName),
      size,
      starts,
      instancesMax,
      memoryMiB: size * 10_000,
    })),
  );
  if (made === undefined) throw new Error('a sample grid has rows');
  return made;
}

/** As `-lgip` and `-lgipp` of an H100 80GB list them. */
export const h100Grid = grid([
  ['1g.10gb', 19, [0, 1, 2, 3, 4, 5, 6], 1, 7],
  ['1g.10gb+me', 20, [0, 1, 2, 3, 4, 5, 6], 1, 1],
  ['1g.20gb', 15, [0, 2, 4, 6], 2, 4],
  ['2g.20gb', 14, [0, 2, 4], 2, 3],
  ['3g.40gb', 9, [0, 4], 4, 2],
  ['4g.40gb', 5, [0], 4, 1],
  ['7g.80gb', 0, [0], 8, 1],
]);

export const a30Grid = grid([
  ['1g.6gb', 14, [0, 1, 2, 3], 1, 4],
  ['1g.6gb+me', 21, [0, 1, 2, 3], 1, 1],
  ['2g.12gb', 5, [0, 2], 2, 2],
  ['4g.24gb', 0, [0], 4, 1],
]);

export interface SampleNode {
  readonly name: string;
  /** An H100's memory where it is absent. */
  readonly gpus: readonly (Pick<ObservedGpu, 'model' | 'grid'> & Partial<Pick<ObservedGpu, 'memoryMiB' | 'nvlinkGroup' | 'numaNode'>>)[];
  readonly cpuMilli?: number;
  readonly memoryMiB?: number;
}

export const h100 = { model: 'NVIDIA H100 80GB HBM3', grid: h100Grid };
export const a30 = { model: 'NVIDIA A30', grid: a30Grid };
export const l40s = { model: 'NVIDIA L40S', grid: undefined };

export function sampleGpuUuid(node: string, index: number): GpuUuid {
  const hex = [...`${node}/${index}`]
    .map((letter) => letter.charCodeAt(0).toString(16))
    .join('')
    .padStart(32, '0')
    .slice(-32);
  return `GPU-${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}` as GpuUuid;
}

export function sampleCluster(nodes: readonly SampleNode[]): Cluster {
  const cluster = new Cluster();
  for (const node of nodes) {
    cluster.apply({ kind: 'node', record: { name: node.name as NodeName, address: undefined, cordoned: false, bootId: undefined } });
    cluster.apply({ kind: 'observed-node', node: observedNode(node) });
  }
  cluster.apply({ kind: 'workspace', record: { name: 'default' as WorkspaceName, limit: { compute: undefined, memory: undefined } } });
  cluster.keep();
  return cluster;
}

export function observedNode(node: SampleNode): ObservedNode {
  return {
    name: node.name as NodeName,
    state: 'ready',
    cpuMilli: node.cpuMilli ?? 96_000,
    memoryMiB: node.memoryMiB ?? 1_000_000,
    agentVersion: undefined,
    driverVersion: undefined,
    lastSeenMs: 0,
    unreachableSinceMs: undefined,
    gpus: node.gpus.map(
      (gpu, index): ObservedGpu => ({
        uuid: sampleGpuUuid(node.name, index),
        node: node.name as NodeName,
        index,
        memoryMiB: 81_559,
        migEnabled: false,
        slices: [],
        conditions: [],
        ...gpu,
      }),
    ),
    conditions: [],
    strangers: [],
  };
}

/** A fresh counter of allocation ids. */
export function allocationIds(): () => AllocationId {
  let made = 0;
  return () => {
    made += 1;
    return `alc_${String(made).padStart(8, '0')}` as AllocationId;
  };
}

export function sampleWorkload(sequence: number, ask: GpuAsk, more: Partial<WorkloadRecord> = {}): WorkloadRecord {
  return {
    id: `wkl_${String(sequence).padStart(8, '0')}` as WorkloadId,
    name: `w${sequence}` as WorkloadName,
    workspace: 'default' as WorkspaceName,
    command: ['true'],
    environment: {},
    workingDirectory: undefined,
    graceSeconds: 10,
    ask,
    model: undefined,
    cpuMilli: 0,
    memoryMiB: 0,
    priority: 0,
    sequence,
    phase: 'queued',
    attempts: 0,
    allocation: undefined,
    node: undefined,
    devices: [],
    endReason: undefined,
    detail: undefined,
    exitCode: undefined,
    submittedAtMs: sequence,
    placedAtMs: undefined,
    startedAtMs: undefined,
    endedAtMs: undefined,
    ...more,
  };
}

export function slice(profile: string): GpuAsk {
  return { kind: 'slice', profile: profile as ProfileName };
}

export function whole(count: number): GpuAsk {
  return { kind: 'whole', count };
}
