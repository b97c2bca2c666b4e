// Reservations in the shape of the API.
import type { Node, Reservation } from '@astrago/api';
import type { NodeName } from '@astrago/shared/domain/ids';
import type { Cluster } from '#core/cluster/cluster';
import type { ReservationRecord } from '#core/cluster/records';
import { outlasting } from '#core/scheduling/outlasting';
import { nameOf } from './work-views.ts';

export function reservationView(cluster: Cluster, record: ReservationRecord, nowMs: number): Reservation {
  return {
    ...shortView(record),
    nodes: [...record.nodes],
    inTheWay: record.nodes.flatMap((node) =>
      outlasting(cluster, node, record, nowMs).map(({ allocation: { workload, workspace }, endMs }) => ({
        workload: nameOf(cluster, workload),
        workspace,
        node,
        expectedEndMs: endMs,
      })),
    ),
  };
}

/** Those that are not over, the first to begin first. */
export function reservationsNotOver(cluster: Cluster, nowMs: number): readonly ReservationRecord[] {
  return [...cluster.reservations.values()]
    .filter(({ untilMs }) => nowMs < untilMs)
    .sort((a, b) => a.fromMs - b.fromMs || (a.name < b.name ? -1 : 1));
}

export function reservationsOfNode(cluster: Cluster, node: NodeName, nowMs: number): Node['reservations'] {
  return reservationsNotOver(cluster, nowMs)
    .filter(({ nodes }) => nodes.includes(node))
    .map(shortView);
}

function shortView({ name, workspace, fromMs, untilMs }: ReservationRecord): Node['reservations'][number] {
  return { name, workspace, fromMs, untilMs };
}
