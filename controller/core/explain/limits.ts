import type { WorkspaceName } from '@astrago/shared/domain/ids';
import type { Cluster } from '../cluster/cluster.ts';
import type { WorkspaceRecord } from '../cluster/records.ts';

/** The deepest tree of workspaces that is climbed. */
const levelsMax = 16;

/** A workspace and those above it, the nearest first. */
export function lineOf(cluster: Cluster, name: WorkspaceName): readonly WorkspaceRecord[] {
  const line: WorkspaceRecord[] = [];
  for (let at: WorkspaceName | undefined = name; at !== undefined && line.length < levelsMax; ) {
    const record = cluster.workspaces.get(at);
    if (record === undefined) break;
    line.push(record);
    at = record.parent;
  }
  return line;
}

/** As if no limit bounded the workspace; for trials, which undo it. */
export function liftLimits(cluster: Cluster, name: WorkspaceName): void {
  for (const record of lineOf(cluster, name))
    cluster.apply({ kind: 'workspace', record: { ...record, limit: { compute: undefined, memory: undefined } } });
}
