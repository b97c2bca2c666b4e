// Where more is used than a limit allows, or more is promised than there is.
import type { WorkspaceName } from '@astrago/shared/domain/ids';
import { wholeUnits } from '@astrago/shared/domain/units';
import type { Cluster } from '../cluster/cluster.ts';
import type { QuotaAmounts, WorkspaceRecord } from '../cluster/records.ts';
import { modelFits } from '../scheduling/gpu-view.ts';

export interface Dimension {
  readonly resource: 'compute' | 'memory' | 'cpuMilli' | 'memoryMiB';
  /** Words that the model of a GPU holds; absent: GPUs of any kind. */
  readonly model: string | undefined;
}

export interface OverCommitment {
  /** `use`: it and those under it hold more than its limit. `guarantees`: more is guaranteed than the cluster has. */
  readonly kind: 'use' | 'guarantees';
  /** Absent: the organisation, which is above all. */
  readonly workspace: WorkspaceName | undefined;
  readonly dimension: Dimension;
  /** Slices, milli-CPUs or MiB; so with `bound`, which it is above. */
  readonly amount: number;
  readonly bound: number;
}

/** Each of the cluster as it is, by workspace and dimension. */
export function overCommitments(cluster: Cluster): ReadonlyMap<string, OverCommitment> {
  const found = new Map<string, OverCommitment>();
  const workspaces = [...cluster.workspaces.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  const children = Map.groupBy(workspaces, ({ parent }) => (parent !== undefined && cluster.workspaces.has(parent) ? parent : undefined));
  for (const dimension of dimensionsOf(workspaces)) {
    const note = (kind: OverCommitment['kind'], workspace: WorkspaceName | undefined, amount: number, bound: number | undefined): void => {
      const over = { kind, workspace, dimension, amount, bound: bound ?? amount };
      if (over.amount > over.bound) found.set(`${kind} ${workspace ?? ''} ${dimension.resource} ${dimension.model ?? ''}`, over);
    };
    const guaranteedTo = (one: WorkspaceRecord): number =>
      amountOf(one.guaranteed, dimension) ?? sumOf(children.get(one.name), guaranteedTo);
    note('guarantees', undefined, sumOf(children.get(undefined), guaranteedTo), capacityOf(cluster, dimension));
    const held = heldOf(cluster, dimension);
    const usedBy = (one: WorkspaceRecord): number => rounded((held.get(one.name) ?? 0) + sumOf(children.get(one.name), usedBy));
    for (const one of workspaces) {
      const limit = amountOf(one.limit, dimension);
      if (limit !== undefined) note('use', one.name, usedBy(one), limit);
    }
  }
  return found;
}

function sumOf(workspaces: readonly WorkspaceRecord[] | undefined, amount: (one: WorkspaceRecord) => number): number {
  return (workspaces ?? []).reduce((sum, one) => sum + amount(one), 0);
}

/** Shares count in thousandths of slices. */
function rounded(amount: number): number {
  return Math.round(amount * 1000) / 1000;
}

function dimensionsOf(workspaces: readonly WorkspaceRecord[]): readonly Dimension[] {
  const amounts = workspaces.flatMap(({ limit, guaranteed }) => [limit, guaranteed]);
  const models = [...new Set(amounts.flatMap((one) => Object.keys(one?.models ?? {})))].sort();
  const all: readonly Dimension[] = [
    ...(['compute', 'memory', 'cpuMilli', 'memoryMiB'] as const).map((resource) => ({ resource, model: undefined })),
    ...models.flatMap((model) => (['compute', 'memory'] as const).map((resource) => ({ resource, model }))),
  ];
  return all.filter((dimension) => amounts.some((one) => amountOf(one, dimension) !== undefined));
}

function amountOf(amounts: QuotaAmounts | undefined, { resource, model }: Dimension): number | undefined {
  if (model === undefined) return amounts?.[resource];
  return resource === 'compute' || resource === 'memory' ? amounts?.models?.[model]?.[resource] : undefined;
}

function heldOf(cluster: Cluster, { resource, model }: Dimension): ReadonlyMap<WorkspaceName, number> {
  const held = new Map<WorkspaceName, number>();
  for (const { workspace, units, devices, ...amounts } of cluster.allocations.values()) {
    const counts = model === undefined || devices.some(({ gpu }) => modelFits(cluster.gpu(gpu)?.model ?? '', model));
    const amount = resource === 'compute' || resource === 'memory' ? units[resource] : amounts[resource];
    if (counts) held.set(workspace, (held.get(workspace) ?? 0) + amount);
  }
  return held;
}

function capacityOf(cluster: Cluster, { resource, model }: Dimension): number {
  let sum = 0;
  for (const node of cluster.observed.values()) {
    if (resource === 'cpuMilli' || resource === 'memoryMiB') sum += node[resource];
    else for (const gpu of node.gpus) if (modelFits(gpu.model, model)) sum += wholeUnits(gpu.grid)[resource];
  }
  return sum;
}
