// What a node should hold, made from the cluster. Equal clusters make equal contents, so a change is seen by comparing.

import type { AllocationId, GpuUuid, NodeName } from '@astrago/shared/domain/ids';
import type { Layout } from '@astrago/shared/domain/mig/layout';
import type { Cluster } from '#core/cluster/cluster';
import type { AllocatedDevice } from '#core/cluster/records';

export interface Order {
  readonly epoch: number;
  readonly generation: number;
  readonly content: OrderContent;
}

export interface OrderContent {
  readonly gpus: readonly { readonly uuid: GpuUuid; readonly layout: Layout }[];
  readonly allocations: readonly DesiredAllocation[];
}

export interface DesiredAllocation {
  readonly id: AllocationId;
  readonly workload: string;
  readonly workspace: string;
  readonly devices: readonly AllocatedDevice[];
  readonly intent:
    | {
        readonly kind: 'run';
        readonly command: readonly string[];
        readonly environment: Readonly<Record<string, string>>;
        readonly workingDirectory: string | undefined;
      }
    | { readonly kind: 'stop'; readonly graceSeconds: number };
}

export type RefusalReason = 'stale-epoch' | 'stale-generation' | 'content-differs' | 'invalid' | 'ledger-unavailable';

/** For work that has ended for its user and still runs on a node that was lost. */
const strayGraceSeconds = 10;

export function desiredState(cluster: Cluster, node: NodeName): OrderContent {
  const byKey = <T>(items: readonly T[], key: (item: T) => string): readonly T[] => items.toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
  const layouts = [...cluster.layouts.values()].filter((record) => record.node === node);
  // Work that moves is begun here once nothing of it is left where it was.
  const begun = cluster.allocationsOnNode(node).filter(({ after }) => after === undefined || !cluster.allocations.has(after));
  const allocations = begun.map((allocation): DesiredAllocation => {
    const workload = cluster.workloads.get(allocation.workload);
    const base = {
      id: allocation.id,
      workload: workload?.name ?? allocation.workload,
      workspace: allocation.workspace,
      devices: allocation.devices,
    };
    if (workload === undefined || allocation.intent === 'stop') {
      return { ...base, intent: { kind: 'stop', graceSeconds: workload?.graceSeconds ?? strayGraceSeconds } };
    }
    const { command, environment, workingDirectory } = workload;
    return { ...base, intent: { kind: 'run', command, environment, workingDirectory } };
  });
  return {
    gpus: byKey(
      layouts.map(({ gpu, layout }) => ({ uuid: gpu, layout })),
      (gpu) => gpu.uuid,
    ),
    allocations: byKey(allocations, (allocation) => allocation.id),
  };
}
