import type { NodeName, WorkspaceName } from '@astrago/shared/domain/ids';
import type { Cluster } from '../cluster/cluster.ts';

/** The nodes that a workspace has for itself now. */
export function reservedNodes(cluster: Cluster, workspace: WorkspaceName, nowMs: number): ReadonlySet<NodeName> {
  const nodes = new Set<NodeName>();
  for (const reservation of cluster.reservations.values())
    if (reservation.workspace === workspace && reservation.fromMs <= nowMs && nowMs < reservation.untilMs)
      for (const node of reservation.nodes) nodes.add(node);
  return nodes;
}
