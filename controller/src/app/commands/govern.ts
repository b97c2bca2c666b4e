// Small commands of admins: cordon, labels, taints, the mode of a pool. None of them touches what runs.
import type { NodeName } from '@astrago/shared/domain/ids';
import type { NodeRecord, PoolRecord } from '#core/cluster/records';
import type { Journal } from '../journal.ts';
import { Refusal } from '../refusal.ts';

export function setCordon(journal: Journal, actor: string, name: NodeName, cordoned: boolean): Promise<NodeRecord> {
  return changeNode(journal, actor, name, (node) => {
    if (node.cordoned === cordoned) return undefined;
    return { record: { ...node, cordoned }, action: cordoned ? 'cordon' : 'uncordon', detail: '' };
  });
}

export function putPool(journal: Journal, actor: string, record: PoolRecord): Promise<PoolRecord> {
  return journal.commit(actor, (draft) => {
    draft.apply({ kind: 'pool', record });
    draft.audit('put-pool', record.model, record.repartition);
    return record;
  });
}

export function changeLabels(
  journal: Journal,
  actor: string,
  name: NodeName,
  change: { readonly set: Readonly<Record<string, string>>; readonly remove: readonly string[] },
): Promise<NodeRecord> {
  return changeNode(journal, actor, name, (node) => {
    const before = node.labels ?? {};
    const kept = Object.entries(before).filter(([key]) => !change.remove.includes(key));
    const labels = inOrder({ ...Object.fromEntries(kept), ...change.set });
    const text = JSON.stringify(labels);
    return text === JSON.stringify(inOrder(before)) ? undefined : { record: { ...node, labels }, action: 'label', detail: text };
  });
}

export function changeTaints(
  journal: Journal,
  actor: string,
  name: NodeName,
  change: { readonly add: readonly string[]; readonly remove: readonly string[] },
): Promise<NodeRecord> {
  return changeNode(journal, actor, name, (node) => {
    const byKey = new Map((node.taints ?? []).map((taint) => [keyOf(taint), taint]));
    for (const key of change.remove) byKey.delete(key);
    for (const taint of change.add) byKey.set(keyOf(taint), taint);
    const taints = [...byKey.values()].sort();
    const text = JSON.stringify(taints);
    return text === JSON.stringify(node.taints ?? []) ? undefined : { record: { ...node, taints }, action: 'taint', detail: text };
  });
}

function keyOf(taint: string): string {
  return taint.split('=', 1)[0] as string;
}

function inOrder(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
}

interface NodeChange {
  readonly record: NodeRecord;
  readonly action: string;
  readonly detail: string;
}

/** @param change `undefined` when nothing would change, which is no fault and leaves no trace. */
function changeNode(
  journal: Journal,
  actor: string,
  name: NodeName,
  change: (node: NodeRecord) => NodeChange | undefined,
): Promise<NodeRecord> {
  return journal.commit(actor, (draft) => {
    const node = draft.cluster.nodes.get(name);
    if (node === undefined) throw new Refusal('not-found', `there is no node ${name}`);
    const changed = change(node);
    if (changed === undefined) return node;
    draft.apply({ kind: 'node', record: changed.record });
    draft.audit(changed.action, name, changed.detail);
    return changed.record;
  });
}
