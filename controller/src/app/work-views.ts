// What people submitted, in the shapes of the API. What is unknown is left out.

import type { Gang, Workload } from '@astrago/api';
import type { WorkloadId } from '@astrago/shared/domain/ids';
import type { Cluster } from '#core/cluster/cluster';
import { type Constraints, type GpuAsk, hasEnded, type ShareKind, type WorkloadRecord } from '#core/cluster/records';
import { declaredEndMs } from '#core/scheduling/expected-end';
import type { WaitingReasons } from './waiting.ts';

/** What keeps an allocation to its share of a GPU that is not cut. */
export const shareEnforcement = { mps: 'driver', 'time-slicing': 'advisory' } as const satisfies Readonly<Record<ShareKind, string>>;

/** The id where the workload has ended. */
export function nameOf(cluster: Cluster, id: WorkloadId): string {
  return cluster.workloads.get(id)?.name ?? id;
}

export function workloadView(cluster: Cluster, waiting: WaitingReasons, record: WorkloadRecord): Workload {
  const reason = record.endReason ?? (record.phase === 'queued' ? waiting.of(record.id) : undefined);
  const allocation = record.allocation === undefined || record.phase === 'queued' ? undefined : cluster.allocations.get(record.allocation);
  return {
    id: record.id,
    name: record.name,
    workspace: record.workspace,
    phase: record.phase,
    reason,
    detail: record.detail,
    exitCode: record.exitCode,
    command: [...record.command],
    ...askView(record.ask),
    model: record.model,
    cpuMilli: record.cpuMilli,
    memoryMiB: record.memoryMiB,
    priority: record.priority,
    constraints: record.constraints === undefined ? undefined : constraintsView(record.constraints),
    gang: record.gang === undefined ? undefined : { ...record.gang },
    interruptible: record.interruptible,
    eviction: record.eviction === undefined ? undefined : { ...record.eviction },
    node: record.node,
    devices: record.devices.map(({ gpu, slice, share }) => ({
      gpuUuid: gpu,
      gpuIndex: cluster.gpu(gpu)?.index,
      slice: slice === undefined ? undefined : { ...slice },
      share: share === undefined ? undefined : { ...share },
    })),
    borrowed: allocation?.borrowed,
    enforcement: enforcementOf(record.ask),
    submittedAtMs: record.submittedAtMs,
    placedAtMs: record.placedAtMs,
    startedAtMs: record.startedAtMs,
    endedAtMs: record.endedAtMs,
    expectedSeconds: record.expectedSeconds,
    expectedEndMs: hasEnded(record.phase) ? undefined : declaredEndMs(record),
  };
}

/** @param members all of one gang, in order. */
export function gangView(cluster: Cluster, waiting: WaitingReasons, members: readonly WorkloadRecord[]): Gang | undefined {
  const [first] = members;
  if (first?.gang === undefined) return undefined;
  const { name, least, members: all } = first.gang;
  return { name, workspace: first.workspace, least, members: all, items: members.map((record) => workloadView(cluster, waiting, record)) };
}

function askView(ask: GpuAsk): Pick<Workload, 'slice' | 'count' | 'atLeast' | 'share' | 'gpus'> {
  switch (ask.kind) {
    case 'none':
      return {};
    case 'slice':
      return { slice: ask.profile, count: ask.count };
    case 'least':
      return { atLeast: { memoryMiB: ask.memoryMiB, computeSlices: ask.computeSlices, count: ask.count } };
    case 'share':
      return { share: { by: ask.by, milli: ask.milli, memoryMiB: ask.memoryMiB } };
    case 'whole':
      return { gpus: ask.count };
    default:
      return ask satisfies never;
  }
}

function enforcementOf(ask: GpuAsk): Workload['enforcement'] {
  if (ask.kind === 'none') return 'none';
  return ask.kind === 'share' ? shareEnforcement[ask.by] : 'hardware';
}

function constraintsView({ nodeLabels, tolerations, together, apart }: Constraints): NonNullable<Workload['constraints']> {
  return {
    nodeLabels: nodeLabels === undefined ? undefined : { ...nodeLabels },
    tolerations: tolerations === undefined ? undefined : [...tolerations],
    together: together?.map((wish) => ({ ...wish })),
    apart: apart === undefined ? undefined : { ...apart },
  };
}
