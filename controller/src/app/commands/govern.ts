// Small commands of admins: cordon, limits.

import type { NodeName, WorkspaceName } from '@astrago/shared/domain/ids';
import type { NodeRecord, PoolRecord, WorkspaceRecord } from '#core/cluster/records';
import type { Journal } from '../journal.ts';
import { Refusal } from '../refusal.ts';

export function setCordon(journal: Journal, actor: string, name: NodeName, cordoned: boolean): Promise<NodeRecord> {
  return journal.commit(actor, (draft) => {
    const node = draft.cluster.nodes.get(name);
    if (node === undefined) throw new Refusal('not-found', `there is no node ${name}`);
    const record = { ...node, cordoned };
    if (node.cordoned === cordoned) return node;
    draft.apply({ kind: 'node', record });
    draft.audit(cordoned ? 'cordon' : 'uncordon', name);
    return record;
  });
}

export function putPool(journal: Journal, actor: string, record: PoolRecord): Promise<PoolRecord> {
  return journal.commit(actor, (draft) => {
    draft.apply({ kind: 'pool', record });
    draft.audit('put-pool', record.model, record.repartition);
    return record;
  });
}

export function putWorkspace(
  journal: Journal,
  actor: string,
  name: WorkspaceName,
  limit: WorkspaceRecord['limit'],
): Promise<WorkspaceRecord> {
  return journal.commit(actor, (draft) => {
    const record: WorkspaceRecord = { name, limit };
    draft.apply({ kind: 'workspace', record });
    draft.audit('put-workspace', name, JSON.stringify(limit));
    return record;
  });
}
