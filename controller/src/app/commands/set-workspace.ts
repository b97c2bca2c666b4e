import { type ChangeWorkspace, PutWorkspace } from '@astrago/api';
import { parseWorkspaceName, type WorkspaceName } from '@astrago/shared/domain/ids';
import type { WorkspaceRecord } from '#core/cluster/records';
import type { Draft, Journal } from '../journal.ts';
import { Refusal } from '../refusal.ts';
import { contradictionOf } from '../workspace-tree.ts';

/** Makes the workspace, or says anew all that it has. */
export function putWorkspace(journal: Journal, actor: string, name: WorkspaceName, body: PutWorkspace): Promise<WorkspaceRecord> {
  return journal.commit(actor, (draft) => put(draft, name, body));
}

/** Makes the workspace, or changes what is named of it: absent stays, null takes away, at every level. */
export function changeWorkspace(journal: Journal, actor: string, name: WorkspaceName, change: ChangeWorkspace): Promise<WorkspaceRecord> {
  return journal.commit(actor, (draft) => {
    const { name: _, ...before } = draft.cluster.workspaces.get(name) ?? { name, limit: {} };
    return put(draft, name, PutWorkspace.parse(merged(before, change)));
  });
}

function put(draft: Draft, name: WorkspaceName, body: PutWorkspace): WorkspaceRecord {
  const parent = body.parent === undefined ? undefined : parseWorkspaceName(body.parent);
  const { compute, memory, ...limit } = body.limit;
  const record: WorkspaceRecord = {
    name,
    ...(parent === undefined ? {} : { parent }),
    limit: { compute, memory, ...limit },
    ...(body.guaranteed === undefined ? {} : { guaranteed: { compute: undefined, memory: undefined, ...body.guaranteed } }),
    ...(body.weight === undefined ? {} : { weight: body.weight }),
    ...(body.budget === undefined ? {} : { budget: body.budget }),
  };
  if (parent !== undefined && !draft.cluster.workspaces.has(parent))
    throw new Refusal('not-found', `there is no workspace ${parent} to be the parent of ${name}; make it first`, { pointer: '/parent' });
  const contradiction = contradictionOf(draft.cluster.workspaces, record);
  if (contradiction !== undefined) throw new Refusal('impossible-workspace', contradiction.text, { pointer: contradiction.pointer });
  draft.apply({ kind: 'workspace', record });
  draft.audit('put-workspace', name, JSON.stringify(body));
  return record;
}

/** As a JSON merge patch says (RFC 7396). An object that nothing is left in is gone, too. */
function merged(before: unknown, change: unknown): unknown {
  if (!isObject(change)) return change;
  const result: Record<string, unknown> = isObject(before) ? { ...before } : {};
  for (const [key, value] of Object.entries(change)) {
    if (value === undefined) continue;
    const next = value === null ? undefined : merged(result[key], value);
    if (next === undefined || (isObject(next) && Object.values(next).every((inner) => inner === undefined))) delete result[key];
    else result[key] = next;
  }
  return result;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
