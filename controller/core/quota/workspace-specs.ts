// Workspaces as the quota tree has them.
import type { WorkspaceName } from '@astrago/shared/domain/ids';
import type { QuotaAmounts, WorkspaceRecord } from '../cluster/records.ts';
import type { Amounts, ResourceName } from './amounts.ts';
import type { QuotaSpec } from './quota-spec.ts';

/** Above all workspaces; no workspace can have this name, nor those of `ownWorkOf`. */
export const organisation = '·organisation';

/** The leaf for work of a workspace that has others below it. It has no limit, so it is never named to people. */
export function ownWorkOf(workspace: WorkspaceName): string {
  return `${workspace}·own`;
}

/** What names a workspace above it that is not known is directly under the organisation. */
export function specsOf(workspaces: ReadonlyMap<WorkspaceName, WorkspaceRecord>): readonly QuotaSpec[] {
  const parentOf = ({ parent }: WorkspaceRecord): WorkspaceName | undefined =>
    parent !== undefined && workspaces.has(parent) ? parent : undefined;
  const records = [...workspaces.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  const above = new Set(records.map(parentOf));
  return records.flatMap((record): readonly QuotaSpec[] => {
    const { name, weight } = record;
    const spec = { name, parent: parentOf(record), guaranteed: amountsOf(record.guaranteed), limit: amountsOf(record.limit), weight };
    return above.has(name) ? [spec, { name: ownWorkOf(name), parent: name, guaranteed: {}, limit: {} }] : [spec];
  });
}

export function amountsOf(amounts: QuotaAmounts | undefined): Amounts {
  const found: Partial<Record<ResourceName, number>> = {};
  const add = (name: ResourceName, amount: number | undefined): void => {
    if (amount !== undefined) found[name] = amount;
  };
  add('compute', amounts?.compute);
  add('gpu-memory', amounts?.memory);
  add('cpu', amounts?.cpuMilli);
  add('memory', amounts?.memoryMiB);
  for (const [model, own] of Object.entries(amounts?.models ?? {})) {
    add(`compute/${model}`, own.compute);
    add(`gpu-memory/${model}`, own.memory);
  }
  return found;
}
