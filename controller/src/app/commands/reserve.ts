// Nodes are kept for a workspace for a time, given back early, and forgotten about when the time is over.
import type { PutReservation } from '@astrago/api';
import { type NodeName, parseNodeName, parseWorkspaceName, type ReservationName, type WorkspaceName } from '@astrago/shared/domain/ids';
import type { Cluster } from '#core/cluster/cluster';
import type { ReservationRecord } from '#core/cluster/records';
import { dateTime } from '#core/explain/words';
import { chooseNodes } from '#core/scheduling/choose-nodes';
import { reservedForOthers } from '#core/scheduling/reserved-nodes';
import type { Journal } from '../journal.ts';
import { Refusal } from '../refusal.ts';

export interface ReserveDeps {
  readonly journal: Journal;
  readonly nowMs: () => number;
}

const yearMs = 365 * 24 * 3_600_000;

/** Makes the reservation, or says anew which nodes it keeps and when. */
export function reserve(
  { journal, nowMs }: ReserveDeps,
  actor: string,
  name: ReservationName,
  body: PutReservation,
): Promise<ReservationRecord> {
  return journal.commit(actor, (draft) => {
    const now = nowMs();
    const { fromMs, untilMs } = body;
    refuseTime(body, now);
    const workspace = workspaceIn(draft.cluster, body.workspace);
    const before = draft.cluster.reservations.get(name);
    if (before !== undefined && before.untilMs > now && before.workspace !== workspace) {
      const detail = `${name} is a reservation of workspace ${before.workspace}; take another name, or cancel it first`;
      throw new Refusal('reservation-conflict', detail, { pointer: '/workspace' });
    }
    const time = { workspace, fromMs: Math.max(fromMs, now), untilMs };
    const nodes = body.nodes === undefined ? chosen(draft.cluster, body, time, before, now) : named(draft.cluster, body.nodes, time);
    const record: ReservationRecord = { name, workspace, nodes, fromMs, untilMs };
    draft.apply({ kind: 'reservation', record });
    draft.audit('reserve', name, JSON.stringify({ workspace, nodes, fromMs, untilMs }));
    return record;
  });
}

/** What runs on its nodes runs on. */
export function cancelReservation({ journal, nowMs }: ReserveDeps, actor: string, name: ReservationName): Promise<ReservationRecord> {
  return journal.commit(actor, (draft) => {
    const record = draft.cluster.reservations.get(name);
    if (record === undefined || record.untilMs <= nowMs())
      throw new Refusal('not-found', `there is no reservation ${name}; astrago reservations lists them`);
    draft.apply({ kind: 'reservation-cancelled', name });
    draft.audit('cancel-reservation', name);
    return record;
  });
}

/** Those that are over keep nothing any more. */
export async function forgetEndedReservations({ journal, nowMs }: ReserveDeps, cluster: Cluster): Promise<void> {
  const isOver = ({ untilMs }: ReservationRecord): boolean => untilMs <= nowMs();
  if (![...cluster.reservations.values()].some(isOver)) return;
  await journal.commit('controller', (draft) => {
    for (const record of [...draft.cluster.reservations.values()]) {
      if (!isOver(record)) continue;
      draft.apply({ kind: 'reservation-cancelled', name: record.name });
      draft.audit('reservation-ended', record.name);
    }
  });
}

type Time = Pick<ReservationRecord, 'workspace' | 'fromMs' | 'untilMs'>;

function refuseTime({ fromMs, untilMs }: PutReservation, nowMs: number): void {
  const refuse = (detail: string, pointer: string): never => {
    throw new Refusal('impossible-reservation', detail, { pointer });
  };
  if (untilMs <= nowMs) refuse('the time is over already; give one that ends later', '/untilMs');
  if (fromMs > nowMs + yearMs) refuse('that is more than a year from now; reserve it later', '/fromMs');
  if (untilMs - fromMs > yearMs) refuse('that is longer than a year; reserve a shorter time', '/untilMs');
}

function workspaceIn({ workspaces }: Cluster, name: string): WorkspaceName {
  const workspace = parseWorkspaceName(name);
  if (workspace !== undefined && workspaces.has(workspace)) return workspace;
  throw new Refusal('not-found', `there is no workspace ${name}; astrago workspaces lists them`, { pointer: '/workspace' });
}

function named(cluster: Cluster, names: readonly string[], time: Time): readonly NodeName[] {
  const taken = reservedForOthers(cluster, time);
  const nodes = names.map((name, index): NodeName => {
    const pointer = `/nodes/${index}`;
    const node = parseNodeName(name);
    if (node === undefined || !cluster.nodes.has(node))
      throw new Refusal('not-found', `there is no node ${name}; astrago nodes lists them`, { pointer });
    const other = taken.get(node);
    if (other === undefined) return node;
    const when = `from ${dateTime(other.fromMs)} until ${dateTime(other.untilMs)}`;
    const detail = `node ${node} is reserved for workspace ${other.workspace} by ${other.name} ${when}; take another node or time`;
    throw new Refusal('reservation-conflict', detail, { pointer });
  });
  return nodes.sort();
}

function chosen(
  cluster: Cluster,
  { count = 1, model }: PutReservation,
  time: Time,
  before: ReservationRecord | undefined,
  nowMs: number,
): readonly NodeName[] {
  const answer = chooseNodes(cluster, { ...time, count, model, has: before?.nodes ?? [] }, nowMs);
  if (answer.kind === 'chosen') return answer.nodes;
  const { found, reservedForOthers: others } = answer;
  const nodes = `${found === 1 ? 'node' : 'nodes'}${model === undefined ? ' with GPUs' : ` with ${model}`}`;
  const reserved = others === 0 ? '' : ` (${others} more ${others === 1 ? 'is' : 'are'} reserved for other workspaces then)`;
  const code = others === 0 ? 'impossible-reservation' : 'reservation-conflict';
  throw new Refusal(code, `only ${found} ${nodes} can be reserved${reserved}; ask for fewer, or name them`, { pointer: '/count' });
}
