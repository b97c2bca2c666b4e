import { Cluster } from '../cluster/cluster.ts';
import { putStored } from '../cluster/stored.ts';
import { snapshotHead, snapshotShape } from './saved-shape.ts';
import type { SavedCluster, Snapshot } from './snapshot.ts';

export type LoadedSnapshot =
  | { readonly kind: 'cluster'; readonly cluster: Cluster; readonly nowMs: number }
  /** It is no snapshot, or one that was damaged; the text says where. */
  | { readonly kind: 'unreadable'; readonly text: string };

/** A cluster that decides as the saved one did. */
export function loadSnapshot(document: unknown): LoadedSnapshot {
  const fault = snapshotHead(document, '') ?? snapshotShape(document, '');
  if (fault !== undefined) return { kind: 'unreadable', text: fault };
  // Checked key by key just now.
  const { cluster: saved, nowMs } = document as Snapshot;
  const dangling = danglingIn(saved);
  if (dangling !== undefined) return { kind: 'unreadable', text: dangling };
  const cluster = new Cluster();
  putStored(cluster, saved);
  for (const node of saved.observed) cluster.apply({ kind: 'observed-node', node });
  cluster.asked.restore(saved.asked.total, saved.asked.counts, saved.asked.ends);
  cluster.keep();
  return { kind: 'cluster', cluster, nowMs };
}

/** Two records under one name, or a workload that is placed without its allocation: somebody has edited it. */
function danglingIn({ workloads, allocations, observed }: SavedCluster): string | undefined {
  const held = new Set<string>();
  for (const [at, { id }] of allocations.entries()) {
    if (held.has(id)) return `cluster.allocations[${at}] has the id ${id} of another`;
    held.add(id);
  }
  const known = new Set<string>();
  for (const [at, { id, name, phase, allocation }] of workloads.entries()) {
    if (known.has(id)) return `cluster.workloads[${at}] has the id ${id} of another`;
    known.add(id);
    if (phase !== 'queued' && (allocation === undefined || !held.has(allocation)))
      return `cluster.workloads[${at}] (${name}) is ${phase} and has no allocation`;
  }
  const gpus = new Set<string>();
  for (const [at, node] of observed.entries()) {
    for (const { uuid } of node.gpus) {
      if (gpus.has(uuid)) return `cluster.observed[${at}] (${node.name}) has the GPU ${uuid} of another node`;
      gpus.add(uuid);
    }
  }
  return undefined;
}
