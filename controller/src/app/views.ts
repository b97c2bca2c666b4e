// Records and observations in the shapes of the API. What is unknown is left out.

import type { Gpu, LayoutPlan, Node } from '@astrago/api';
import { type Condition, conditionKinds } from '@astrago/shared/domain/condition';
import type { GpuUuid } from '@astrago/shared/domain/ids';
import type { Layout } from '@astrago/shared/domain/mig/layout';
import { sameSlice, type WantedSlice } from '@astrago/shared/domain/mig/slice';
import { addUnits, noUnits, wholeUnits } from '@astrago/shared/domain/units';
import type { Cluster } from '#core/cluster/cluster';
import type { ObservedGpu, ObservedNode, ObservedReading } from '#core/cluster/observed';
import type { AllocationRecord } from '#core/cluster/records';
import { roundUnits } from '#core/cluster/share';
import type { LayoutPlan as CorePlan } from '#core/repartition/plan';
import { viewGpu } from '#core/scheduling/gpu-view';
import { nameOf, shareEnforcement } from './work-views.ts';

export function gpuView(cluster: Cluster, gpu: ObservedGpu, reading: ObservedReading | undefined): Gpu {
  const view = viewGpu(cluster, gpu);
  const record = cluster.layouts.get(gpu.uuid);
  const whole = cluster
    .allocationsOnGpu(gpu.uuid)
    .find(({ devices }) => devices.some((device) => device.gpu === gpu.uuid && device.slice === undefined && device.share === undefined));
  return {
    node: gpu.node,
    index: gpu.index,
    uuid: gpu.uuid,
    model: gpu.model,
    memoryMiB: gpu.memoryMiB,
    migCapable: gpu.grid !== undefined,
    migEnabled: gpu.migEnabled,
    layout: record === undefined ? undefined : layoutView(record.layout),
    layoutPinned: record?.pinned ?? false,
    slices: slicesOf(cluster, gpu, record?.layout),
    workload: whole === undefined ? undefined : nameOf(cluster, whole.workload),
    shares: cluster.allocationsOnGpu(gpu.uuid).flatMap((allocation) => sharesOf(cluster, gpu, allocation)),
    units: { ...view.units },
    allocatedUnits: roundUnits({ compute: view.units.compute - view.freeUnits.compute, memory: view.units.memory - view.freeUnits.memory }),
    // A cut GPU has none of its own; a reading from before it was cut says nothing of it now.
    utilizationRatio: gpu.migEnabled ? undefined : reading?.utilizationRatio,
    memoryUsedMiB: reading?.memoryUsedMiB,
    temperatureCelsius: reading?.temperatureCelsius,
    powerWatts: reading?.powerWatts,
    conditions: gpu.conditions.map(conditionView),
  };
}

function conditionView(condition: Condition): Gpu['conditions'][number] {
  const { severity, action, keepsWorkAway } = conditionKinds[condition.kind];
  return { ...condition, severity, action, keepsWorkAway };
}

function sharesOf(cluster: Cluster, gpu: ObservedGpu, { workload, devices }: AllocationRecord): Gpu['shares'] {
  return devices.flatMap((device) => {
    if (device.gpu !== gpu.uuid || device.share === undefined) return [];
    const { by, milli, memoryMiB } = device.share;
    return [{ workload: nameOf(cluster, workload), by, milli, memoryMiB, enforcement: shareEnforcement[by] }];
  });
}

/** Live slices, and those that are ordered and not there yet. */
function slicesOf(cluster: Cluster, gpu: ObservedGpu, ordered: Layout | undefined): Gpu['slices'] {
  const wanted = ordered?.kind === 'mig' ? ordered.slices : [];
  const holder = (slice: WantedSlice): string | undefined => {
    const allocation = cluster
      .allocationsOnGpu(gpu.uuid)
      .find((one) => one.devices.some((device) => device.gpu === gpu.uuid && device.slice !== undefined && sameSlice(device.slice, slice)));
    return allocation === undefined ? undefined : nameOf(cluster, allocation.workload);
  };
  const live = gpu.slices.map((slice) => ({
    profile: slice.profile,
    start: slice.start,
    size: slice.size,
    migUuid: slice.migUuid,
    workload: holder(slice),
    state: ordered === undefined || wanted.some((other) => sameSlice(other, slice)) ? ('live' as const) : ('unwanted' as const),
  }));
  const coming = wanted
    .filter((slice) => !gpu.slices.some((other) => sameSlice(other, slice)))
    .map((slice) => ({
      profile: slice.profile,
      start: slice.start,
      size: gpu.grid?.profiles.find((profile) => profile.name === slice.profile)?.size ?? 1,
      workload: holder(slice),
      state: 'wanted' as const,
    }));
  return [...live, ...coming].sort((a, b) => a.start - b.start);
}

export function nodeView(cluster: Cluster, node: ObservedNode, lastSeenMs: number | undefined): Omit<Node, 'reservations'> {
  const allocations = cluster.allocationsOnNode(node.name);
  const known = node.agentVersion !== undefined;
  const record = cluster.nodes.get(node.name);
  return {
    name: node.name,
    state: node.state,
    stateDetail: node.stateDetail,
    cordoned: record?.cordoned ?? false,
    labels: { ...record?.labels },
    taints: [...(record?.taints ?? [])],
    gpuCount: node.gpus.length,
    models: [...new Set(node.gpus.map((gpu) => gpu.model))].sort(),
    cpuMilli: known ? node.cpuMilli : undefined,
    cpuMilliAllocated: allocations.reduce((sum, allocation) => sum + allocation.cpuMilli, 0),
    memoryMiB: known ? node.memoryMiB : undefined,
    memoryMiBAllocated: allocations.reduce((sum, allocation) => sum + allocation.memoryMiB, 0),
    units: node.gpus.reduce((sum, gpu) => addUnits(sum, wholeUnits(gpu.grid)), noUnits),
    allocatedUnits: roundUnits(allocations.reduce((sum, allocation) => addUnits(sum, allocation.units), noUnits)),
    agentVersion: node.agentVersion,
    driverVersion: node.driverVersion,
    lastSeenMs,
    conditions: node.conditions.map(conditionView),
  };
}

export function planView(gpu: ObservedGpu, plan: CorePlan, applied: boolean): LayoutPlan {
  return {
    node: gpu.node,
    index: gpu.index,
    uuid: gpu.uuid,
    applied,
    layout: layoutView(plan.layout),
    keep: plan.keep.map(({ profile, start, workload }) => ({ profile, start, workload })),
    create: plan.create.map(({ profile, start }) => ({ profile, start })),
    destroy: plan.destroy.map(({ profile, start }) => ({ profile, start })),
    modeChange: plan.modeChange,
    text: plan.text,
  };
}

function layoutView(layout: Layout): LayoutPlan['layout'] {
  return layout.kind === 'whole'
    ? { kind: 'whole' }
    : { kind: 'mig', slices: layout.slices.map(({ profile, start }) => ({ profile, start })) };
}

/** A GPU by its index on the node or by its UUID. */
export function findGpu(cluster: Cluster, node: string, reference: string): ObservedGpu | undefined {
  return cluster.gpus().find((gpu) => gpu.node === node && (String(gpu.index) === reference || gpu.uuid === (reference as GpuUuid)));
}
