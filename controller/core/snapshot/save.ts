import type { Cluster } from '../cluster/cluster.ts';
import { type Snapshot, snapshotFormat, snapshotVersion } from './snapshot.ts';

/** What nobody needs who wants to know why a decision fell, and others should not read. */
const dropped: readonly string[] = [
  'commands of workloads',
  'values of their environment variables',
  'working directories',
  'addresses and boot ids of nodes',
  'processes that no allocation explains',
];

/** The cluster as it is, without what is secret. */
export function saveSnapshot(cluster: Cluster, nowMs: number): Snapshot {
  return {
    format: snapshotFormat,
    version: snapshotVersion,
    nowMs,
    dropped,
    cluster: {
      workspaces: [...cluster.workspaces.values()],
      nodes: [...cluster.nodes.values()].map((record) => ({ ...record, address: undefined, bootId: undefined })),
      layouts: [...cluster.layouts.values()],
      workloads: [...cluster.workloads.values()].map((record) => ({
        ...record,
        command: [],
        environment: Object.fromEntries(Object.keys(record.environment).map((name) => [name, ''])),
        workingDirectory: undefined,
      })),
      allocations: [...cluster.allocations.values()],
      observed: [...cluster.observed.values()].map((node) => ({ ...node, strangers: [] })),
      reservations: [...cluster.reservations.values()],
      asked: { total: cluster.asked.total, counts: cluster.asked.counts(), ends: cluster.asked.ends },
    },
  };
}
