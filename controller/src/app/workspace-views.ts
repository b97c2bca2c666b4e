// Workspaces in the shape of the API.
import type { QuotaAmounts as WireAmounts, Workspace, WorkspaceUse } from '@astrago/api';
import type { WorkspaceName } from '@astrago/shared/domain/ids';
import type { Cluster } from '#core/cluster/cluster';
import type { QuotaAmounts, WorkspaceRecord } from '#core/cluster/records';
import { descendantsOf } from './workspace-tree.ts';

/** In the order of their names. One pass over what is allocated and queued serves them all. */
export function workspaceViews(cluster: Cluster, records: readonly WorkspaceRecord[]): readonly Workspace[] {
  const uses = usesOf(cluster);
  const counts = countsOf(cluster);
  return records
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map((record) => {
      const used = uses.get(record.name) ?? noUse;
      return {
        name: record.name,
        parent: record.parent,
        limit: amountsView(record.limit),
        guaranteed: record.guaranteed === undefined ? undefined : amountsView(record.guaranteed),
        weight: record.weight ?? 1,
        budget: record.budget === undefined ? undefined : { ...record.budget },
        used: { ...used },
        usedWithChildren: descendantsOf(cluster.workspaces, record.name).reduce(
          (sum, { name }) => addUse(sum, uses.get(name) ?? noUse),
          used,
        ),
        ...(counts.get(record.name) ?? { queued: 0, running: 0 }),
      };
    });
}

const noUse: WorkspaceUse = { compute: 0, memory: 0, cpuMilli: 0, memoryMiB: 0 };

function addUse(a: WorkspaceUse, b: WorkspaceUse): WorkspaceUse {
  return {
    compute: a.compute + b.compute,
    memory: a.memory + b.memory,
    cpuMilli: a.cpuMilli + b.cpuMilli,
    memoryMiB: a.memoryMiB + b.memoryMiB,
  };
}

function usesOf(cluster: Cluster): ReadonlyMap<WorkspaceName, WorkspaceUse> {
  const uses = new Map<WorkspaceName, WorkspaceUse>();
  for (const { workspace, units, cpuMilli, memoryMiB } of cluster.allocations.values())
    uses.set(workspace, addUse(uses.get(workspace) ?? noUse, { ...units, cpuMilli, memoryMiB }));
  return uses;
}

function countsOf(cluster: Cluster): ReadonlyMap<WorkspaceName, { readonly queued: number; readonly running: number }> {
  const counts = new Map<WorkspaceName, { queued: number; running: number }>();
  for (const { workspace, phase } of cluster.workloads.values()) {
    const count = counts.get(workspace) ?? { queued: 0, running: 0 };
    count[phase === 'queued' ? 'queued' : 'running'] += 1;
    counts.set(workspace, count);
  }
  return counts;
}

function amountsView({ models, ...amounts }: QuotaAmounts): WireAmounts {
  if (models === undefined) return amounts;
  return { ...amounts, models: Object.fromEntries(Object.entries(models).map(([model, one]) => [model, { ...one }])) };
}
