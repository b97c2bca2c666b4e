// The one place where planning reads the cluster: pools and their demand as plain values.
import { keepsWorkAway } from '@astrago/shared/domain/condition';
import type { MigGrid } from '@astrago/shared/domain/mig/grid';
import { addUnits, noUnits, profileUnits, type SliceUnits, wholeUnits } from '@astrago/shared/domain/units';
import { profilesOfAtLeast } from '../bays/ask-variants.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { ObservedGpu, ObservedNode } from '../cluster/observed.ts';
import type { AllocationRecord, WorkloadRecord } from '../cluster/records.ts';
import { admit } from '../scheduling/admission.ts';
import { modelFits } from '../scheduling/gpu-view.ts';
import { schedulerOf } from '../scheduling/scheduler.ts';
import type { WaitingPiece, Want } from './demand.ts';
import type { Movability, Pool, PoolGpu, PoolNode, Standing, UsedSlice } from './pool.ts';

export interface PoolReading {
  /** Whether its layout was changed a moment ago, so that it is left alone for now. */
  readonly isSettling: (gpu: ObservedGpu) => boolean;
  readonly movability: (workload: WorkloadRecord | undefined, allocation: AllocationRecord) => Movability;
}

/** The models of all GPUs that have reported, in order. */
export function poolModels(cluster: Cluster): readonly string[] {
  return [...new Set(cluster.gpus().map(({ model }) => model))].sort();
}

export function poolOf(cluster: Cluster, model: string, reading: PoolReading): Pool {
  const observed = [...cluster.observed.values()].filter(({ gpus }) => gpus.some((gpu) => gpu.model === model));
  const nodes = observed
    .map(({ name, cpuMilli, memoryMiB }): PoolNode => {
      const use = cluster.useOf(name);
      return { name, freeCpuMilli: cpuMilli - use.cpuMilli, freeMemoryMiB: memoryMiB - use.memoryMiB };
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const gpus = observed
    .flatMap((node) => node.gpus.filter((gpu) => gpu.model === model).map((gpu) => gpuOf(cluster, node, gpu, reading)))
    .sort((a, b) => (a.node < b.node ? -1 : a.node > b.node ? 1 : a.uuid < b.uuid ? -1 : 1));
  return { model, nodes, gpus };
}

function gpuOf(cluster: Cluster, node: ObservedNode, gpu: ObservedGpu, reading: PoolReading): PoolGpu {
  const used: UsedSlice[] = [];
  let usedWhole = false;
  for (const allocation of cluster.allocationsOnGpu(gpu.uuid)) {
    const workload = cluster.workloads.get(allocation.workload);
    for (const { gpu: on, slice } of allocation.devices) {
      if (on !== gpu.uuid) continue;
      if (slice === undefined) usedWhole = true;
      else {
        // What ends soon anyway is not moved.
        const move = allocation.intent === 'stop' ? ({ kind: 'stays' } as const) : reading.movability(workload, allocation);
        const { cpuMilli, memoryMiB } = allocation;
        used.push({ ...slice, workload: allocation.workload, move, cpuMilli, memoryMiB });
      }
    }
  }
  const standing = standingOf(cluster, node, gpu, reading);
  return { uuid: gpu.uuid, node: gpu.node, grid: gpu.grid, layout: cluster.layoutOf(gpu), used, usedWhole, standing };
}

function standingOf(cluster: Cluster, node: ObservedNode, gpu: ObservedGpu, reading: PoolReading): Standing {
  const record = cluster.nodes.get(node.name);
  // What a plan makes room for is not asked whether it tolerates anything.
  if (record?.cordoned === true || (record?.taints?.length ?? 0) > 0) return 'closed';
  if (node.state !== 'ready' || node.conditions.some(({ kind }) => keepsWorkAway(kind))) return 'closed';
  if (gpu.conditions.some(({ kind }) => keepsWorkAway(kind))) return 'ailing';
  if (cluster.isCutByOther(gpu)) return 'cut-by-other';
  if (cluster.layouts.get(gpu.uuid)?.pinned === true) return 'pinned';
  return reading.isSettling(gpu) ? 'settling' : 'open';
}

/**
 * What waits and could go to this pool, as far as the limits of the workspaces allow it. What asks for no model, or one
 * that several pools are, is wanted in each of them: plans of two pools are alternatives there.
 */
export function waitingFor(cluster: Cluster, pool: Pool): readonly WaitingPiece[] {
  const grid = pool.gpus.find((gpu) => gpu.grid !== undefined)?.grid;
  const taken = new Map<string, SliceUnits>();
  return cluster.queue().flatMap((workload): readonly WaitingPiece[] => {
    // Work that insists on certain nodes, or on company, is not what a pool as a whole is cut for.
    if (!modelFits(pool.model, workload.model) || workload.constraints !== undefined || workload.gang !== undefined) return [];
    const want = wantOf(workload, grid);
    // What a quota keeps back is not helped by cutting.
    if (want === undefined || !isAdmitted(cluster, workload)) return [];
    const one = want.kind === 'whole' ? wholeUnits(grid) : grid === undefined ? undefined : profileUnits(grid, want.profile);
    if (one === undefined) return [];
    const pieces = want.kind === 'whole' ? want.gpus : 1;
    const count = workload.ask.kind === 'slice' || workload.ask.kind === 'least' ? (workload.ask.count ?? 1) : 1;
    const units = { compute: one.compute * pieces * count, memory: one.memory * pieces * count };
    const before = taken.get(workload.workspace) ?? noUnits;
    if (!withinLimit(cluster, workload, addUnits(before, units))) return [];
    taken.set(workload.workspace, addUnits(before, units));
    const { cpuMilli, memoryMiB, priority, submittedAtMs } = workload;
    const piece = { want, units: units.memory / count, cpuMilli: cpuMilli / count, memoryMiB: memoryMiB / count };
    return new Array<WaitingPiece>(count).fill({ ...piece, priority, waitingSinceMs: submittedAtMs });
  });
}

function isAdmitted(cluster: Cluster, workload: WorkloadRecord): boolean {
  const scheduler = schedulerOf(cluster);
  return scheduler.variantsOf(workload).some((variant) => admit(scheduler, workload, variant).kind === 'admitted');
}

function wantOf({ ask }: WorkloadRecord, grid: MigGrid | undefined): Want | undefined {
  switch (ask.kind) {
    case 'none':
    case 'share':
      return undefined;
    case 'least': {
      const [smallest] = profilesOfAtLeast(grid, ask.memoryMiB, ask.computeSlices).toSorted((a, b) => a.size - b.size);
      return smallest === undefined ? undefined : { kind: 'slice', profile: smallest.name };
    }
    case 'slice':
      return { kind: 'slice', profile: ask.profile };
    case 'whole':
      return { kind: 'whole', gpus: ask.count };
    default:
      return ask satisfies never;
  }
}

function withinLimit(cluster: Cluster, { workspace }: WorkloadRecord, more: SliceUnits): boolean {
  const limit = cluster.workspaces.get(workspace)?.limit;
  const all = addUnits(cluster.usedBy(workspace), more);
  return limit === undefined || (all.compute <= (limit.compute ?? Infinity) && all.memory <= (limit.memory ?? Infinity));
}
