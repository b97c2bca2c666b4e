import { type ChangeWorkspace, PutWorkspace } from '@astrago/api';
import { parseWorkspaceName, type WorkspaceName } from '@astrago/shared/domain/ids';
import type { Cluster } from '#core/cluster/cluster';
import type { WorkspaceRecord } from '#core/cluster/records';
import type { Preview } from '#core/preview/difference';
import type { LookDeps } from '#core/preview/looks-ahead';
import { previewWorkspace } from '#core/preview/preview';
import type { Journal } from '../journal.ts';
import { Refusal } from '../refusal.ts';
import { contradictionOf } from '../workspace-tree.ts';

export type WorkspaceAsk = { readonly put: PutWorkspace } | { readonly change: ChangeWorkspace };

/** Makes the workspace, and says anew all that it has (`put`), or changes what is named of it (`change`). */
export function setWorkspace(journal: Journal, actor: string, name: WorkspaceName, ask: WorkspaceAsk): Promise<WorkspaceRecord> {
  return journal.commit(actor, (draft) => {
    const body = bodyOf(draft.cluster, name, ask);
    const record = recordOf(draft.cluster, name, body);
    draft.apply({ kind: 'workspace', record });
    draft.audit('put-workspace', name, JSON.stringify(body));
    return record;
  });
}

/** What it would be, and what that would do to what runs and waits; nothing is changed. */
export function previewOf(
  cluster: Cluster,
  name: WorkspaceName,
  ask: WorkspaceAsk,
  deps: LookDeps,
): { readonly record: WorkspaceRecord; readonly preview: Preview } {
  const record = recordOf(cluster, name, bodyOf(cluster, name, ask));
  return { record, preview: previewWorkspace(cluster, record, deps) };
}

/** In a change absent stays, null takes away, at every level. */
function bodyOf({ workspaces }: Cluster, name: WorkspaceName, ask: WorkspaceAsk): PutWorkspace {
  if ('put' in ask) return ask.put;
  const { name: _, ...before } = workspaces.get(name) ?? { name, limit: {} };
  return PutWorkspace.parse(merged(before, ask.change));
}

function recordOf({ workspaces }: Cluster, name: WorkspaceName, body: PutWorkspace): WorkspaceRecord {
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
  if (parent !== undefined && !workspaces.has(parent))
    throw new Refusal('not-found', `there is no workspace ${parent} to be the parent of ${name}; make it first`, { pointer: '/parent' });
  const contradiction = contradictionOf(workspaces, record);
  if (contradiction !== undefined) throw new Refusal('impossible-workspace', contradiction.text, { pointer: contradiction.pointer });
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
