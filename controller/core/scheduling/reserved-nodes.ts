import type { NodeName, WorkspaceName } from '@astrago/shared/domain/ids';
import type { Cluster } from '../cluster/cluster.ts';
import type { ReservationRecord } from '../cluster/records.ts';

/** The nodes that a workspace has for itself now. */
export function reservedNodes(cluster: Cluster, workspace: WorkspaceName, nowMs: number): ReadonlySet<NodeName> {
  const nodes = new Set<NodeName>();
  for (const reservation of cluster.reservations.values())
    if (reservation.workspace === workspace && reservation.fromMs <= nowMs && nowMs < reservation.untilMs)
      for (const node of reservation.nodes) nodes.add(node);
  return nodes;
}

/** For whom nodes are wanted, and when. The end is not part of the time. */
export type WantedTime = Pick<ReservationRecord, 'workspace' | 'fromMs' | 'untilMs'>;

/** By node, the reservations of other workspaces that cover a part of the time. */
export function reservedForOthers(cluster: Cluster, wanted: WantedTime): ReadonlyMap<NodeName, ReservationRecord> {
  const taken = new Map<NodeName, ReservationRecord>();
  for (const other of cluster.reservations.values())
    if (other.workspace !== wanted.workspace && other.fromMs < wanted.untilMs && wanted.fromMs < other.untilMs)
      for (const node of other.nodes) taken.set(node, other);
  return taken;
}
