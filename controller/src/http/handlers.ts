// What each route of the table does. The types come from the table, so a route without a handler does not compile.

import type { RouteName, routes } from '@astrago/api';
import {
  parseNodeName,
  parseReservationName,
  parseWorkspaceName,
  type ReservationName,
  type WorkspaceName,
} from '@astrago/shared/domain/ids';
import type { z } from 'zod';
import type { ReservationRecord, WorkloadRecord, WorkspaceRecord } from '#core/cluster/records';
import { poolModels } from '#core/repartition/pool-of';
import { changeLabels, changeTaints, putPool, setCordon } from '../app/commands/govern.ts';
import { cancelReservation, reserve } from '../app/commands/reserve.ts';
import { previewLayout, setLayout } from '../app/commands/set-layout.ts';
import { previewOf, setWorkspace, type WorkspaceAsk } from '../app/commands/set-workspace.ts';
import { stop, stopGang } from '../app/commands/stop.ts';
import { type SubmitDeps, submit, submitGang } from '../app/commands/submit.ts';
import type { Controller } from '../app/controller.ts';
import { findGang, membersOf } from '../app/gangs.ts';
import { plain } from '../app/plain.ts';
import type { Store } from '../app/ports.ts';
import { Refusal } from '../app/refusal.ts';
import { reservationsNotOver, reservationsOfNode, reservationView } from '../app/reservation-views.ts';
import { takeSnapshot } from '../app/take-snapshot.ts';
import { findGpu, gpuView, nodeView, planView } from '../app/views.ts';
import { poolNamed, poolView, proposalView } from '../app/views-of-plans.ts';
import { whyView } from '../app/why-view.ts';
import { gangView, workloadView } from '../app/work-views.ts';
import { workspaceViews } from '../app/workspace-views.ts';
import { decodeCursor, encodeCursor, phasesOf } from './paging.ts';

type Part<R, Key extends string> = R extends { readonly [K in Key]: infer S extends z.ZodType } ? z.output<S> : Record<never, never>;

export interface Call<Name extends RouteName> {
  readonly actor: string;
  readonly params: Part<(typeof routes)[Name], 'params'>;
  readonly query: Part<(typeof routes)[Name], 'query'>;
  readonly body: Part<(typeof routes)[Name], 'body'>;
  readonly idempotencyKey: string | undefined;
}

type Answer<Name extends RouteName> = z.input<(typeof routes)[Name]['response']>;

/** Routes that answer with one JSON document; logs are streamed elsewhere. */
export type Handlers = {
  readonly [Name in Exclude<RouteName, 'workloadLogs'>]: (call: Call<Name>) => Answer<Name> | Promise<Answer<Name>>;
};

export interface HandlerDeps {
  readonly controller: Controller;
  readonly store: Store;
  readonly version: string;
  readonly startedAtMs: number;
  readonly nowMs: () => number;
}

/** The newest workload of that name. Where a gang took the name later, that is said: it has no output or place of its own. */
export function findWorkload(
  deps: { readonly controller: Pick<Controller, 'cluster'>; readonly store: Pick<Store, 'findWorkload' | 'listWorkloads'> },
  name: string,
  workspace: string | undefined,
): WorkloadRecord {
  const { store } = deps;
  const record = store.findWorkload(name, workspace);
  const gang = record?.id === name ? undefined : findGang(deps.controller.cluster, store, name, workspace);
  const first = gang?.[0];
  if (gang !== undefined && first !== undefined && first.sequence > (record?.sequence ?? 0))
    throw new Refusal('not-found', `${name} is a gang: name one of its members, ${first.name} to ${gang.at(-1)?.name}`);
  if (record === undefined)
    throw new Refusal('not-found', `there is no workload ${name}${inWorkspace(workspace)}; astrago ps --all lists them`);
  return record;
}

function inWorkspace(workspace: string | undefined): string {
  return workspace === undefined ? '' : ` in workspace ${workspace}`;
}

export function makeHandlers(deps: HandlerDeps): Handlers {
  const { controller, store } = deps;
  const { cluster, journal, fleet, waiting } = controller;
  const view = (record: WorkloadRecord) => workloadView(cluster, waiting, record);
  const nodeOf = (name: string) => {
    const parsed = parseNodeName(name);
    const node = parsed === undefined ? undefined : cluster.observed.get(parsed);
    if (node === undefined) throw new Refusal('not-found', `there is no node ${name}; astrago nodes lists them`);
    return node;
  };
  const gpuOf = (node: string, reference: string) => {
    const gpu = findGpu(cluster, nodeOf(node).name, reference);
    if (gpu === undefined) throw new Refusal('not-found', `node ${node} has no GPU ${reference}; astrago gpus lists them`);
    return gpu;
  };
  const showNode = (name: string) => {
    const node = nodeOf(name);
    const reservations = reservationsOfNode(cluster, node.name, deps.nowMs());
    return { ...nodeView(cluster, node, fleet.lastSeenMs(node.name)), reservations };
  };
  const submitDeps: SubmitDeps = {
    journal,
    store,
    nextWorkloadId: () => controller.nextWorkloadId(),
    nextSequence: () => controller.nextSequence(),
    nowMs: deps.nowMs,
  };
  const gangOf = (name: string, workspace: string | undefined): readonly WorkloadRecord[] => {
    const members = findGang(cluster, store, name, workspace);
    if (members === undefined) throw new Refusal('not-found', `there is no gang ${name}${inWorkspace(workspace)}`);
    return members;
  };
  const showGang = (members: readonly WorkloadRecord[]) => {
    const shown = gangView(cluster, waiting, members);
    if (shown === undefined) throw new Refusal('not-found', 'there is no such gang');
    return shown;
  };
  const workspaceOf = (name: string): WorkspaceName => {
    const parsed = parseWorkspaceName(name);
    if (parsed === undefined) throw new Refusal('invalid-request', `${name} is not a workspace name`);
    return parsed;
  };
  const showWorkspace = (record: WorkspaceRecord | undefined) => {
    const [shown] = record === undefined ? [] : workspaceViews(cluster, [record]);
    if (shown === undefined) throw new Refusal('not-found', 'there is no such workspace; astrago workspaces lists them');
    return shown;
  };
  const setOrPreview = async (actor: string, workspace: string, ask: WorkspaceAsk, dryRun: boolean): Promise<Answer<'putWorkspace'>> => {
    const name = workspaceOf(workspace);
    if (!dryRun) return showWorkspace(await setWorkspace(journal, actor, name, ask));
    const { record, preview } = previewOf(cluster, name, ask, { nowMs: deps.nowMs(), protectionMs: controller.protectionMs });
    const shown = cluster.attempt(() => {
      cluster.apply({ kind: 'workspace', record });
      return showWorkspace(record);
    });
    return { ...shown, preview: plain(preview) };
  };
  const reservationOf = (name: string): ReservationName => {
    const parsed = parseReservationName(name);
    if (parsed === undefined) throw new Refusal('invalid-request', `${name} is not a name of a reservation`);
    return parsed;
  };
  const showReservation = (record: ReservationRecord) => reservationView(cluster, record, deps.nowMs());
  return {
    getCluster: () => ({
      version: deps.version,
      epoch: store.epoch,
      startedAtMs: deps.startedAtMs,
      nodes: cluster.observed.size,
      gpus: cluster.gpus().length,
    }),
    listNodes: () => ({ items: [...cluster.observed.keys()].sort().map(showNode) }),
    getNode: ({ params }) => showNode(params.node),
    cordonNode: async ({ actor, params }) => {
      await setCordon(journal, actor, nodeOf(params.node).name, true);
      return showNode(params.node);
    },
    uncordonNode: async ({ actor, params }) => {
      await setCordon(journal, actor, nodeOf(params.node).name, false);
      return showNode(params.node);
    },
    labelNode: async ({ actor, params, body }) => {
      await changeLabels(journal, actor, nodeOf(params.node).name, body);
      return showNode(params.node);
    },
    taintNode: async ({ actor, params, body }) => {
      await changeTaints(journal, actor, nodeOf(params.node).name, body);
      return showNode(params.node);
    },
    listGpus: ({ query }) => ({
      items: [...cluster.gpus()]
        .filter((gpu) => query.node === undefined || gpu.node === query.node)
        .sort((a, b) => (a.node < b.node ? -1 : a.node > b.node ? 1 : a.index - b.index))
        .map((gpu) => gpuView(cluster, gpu, fleet.readings.get(gpu.uuid))),
    }),
    setLayout: async ({ actor, params, query, body }) => {
      const gpu = gpuOf(params.node, params.gpu);
      const ask = { layout: body.layout, automatic: body.automatic };
      const plan = query.dryRun ? previewLayout(cluster, gpu, ask) : await setLayout(journal, actor, gpu, ask);
      return planView(gpu, plan, !query.dryRun);
    },
    submitWorkload: async ({ actor, body, idempotencyKey }) => view(await submit(submitDeps, actor, body, idempotencyKey)),
    submitGang: async ({ actor, body, idempotencyKey }) => showGang(await submitGang(submitDeps, actor, body, idempotencyKey)),
    getGang: ({ params, query }) => showGang(gangOf(params.gang, query.workspace)),
    stopGang: async ({ actor, params, query }) => {
      const stopped = await stopGang({ journal, nowMs: deps.nowMs }, actor, gangOf(params.gang, query.workspace));
      // As they are now: one may have ended by itself meanwhile.
      return showGang(stopped[0] === undefined ? stopped : membersOf(cluster, store, stopped[0]));
    },
    listWorkloads: ({ query }) => {
      const found = store.listWorkloads({
        workspace: query.workspace,
        phases: phasesOf(query.phase),
        before: decodeCursor(query.cursor),
        limit: query.limit + 1,
      });
      const items = found.slice(0, query.limit);
      const last = items.at(-1);
      return {
        items: items.map(view),
        nextCursor: found.length > query.limit && last !== undefined ? encodeCursor(last.sequence) : undefined,
      };
    },
    getWorkload: ({ params, query }) => view(findWorkload(deps, params.workload, query.workspace)),
    whyWorkload: ({ params, query }) => whyView(cluster, findWorkload(deps, params.workload, query.workspace), deps.nowMs(), query.trace),
    stopWorkload: async ({ actor, params, query }) =>
      view(await stop({ journal, nowMs: deps.nowMs }, actor, findWorkload(deps, params.workload, query.workspace))),
    listWorkspaces: () => ({ items: [...workspaceViews(cluster, [...cluster.workspaces.values()])] }),
    getWorkspace: ({ params }) => showWorkspace(cluster.workspaces.get(workspaceOf(params.workspace))),
    putWorkspace: ({ actor, params, query, body }) => setOrPreview(actor, params.workspace, { put: body }, query.dryRun),
    changeWorkspace: ({ actor, params, query, body }) => setOrPreview(actor, params.workspace, { change: body }, query.dryRun),
    listReservations: () => ({ items: reservationsNotOver(cluster, deps.nowMs()).map(showReservation) }),
    putReservation: async ({ actor, params, body }) =>
      showReservation(await reserve({ journal, nowMs: deps.nowMs }, actor, reservationOf(params.reservation), body)),
    cancelReservation: async ({ actor, params }) =>
      showReservation(await cancelReservation({ journal, nowMs: deps.nowMs }, actor, reservationOf(params.reservation))),
    listPools: () => ({ items: poolModels(cluster).map((model) => poolView(cluster, model)) }),
    putPool: async ({ actor, params, body }) => {
      const model = poolNamed(cluster, params.model);
      await putPool(journal, actor, { model, repartition: body.repartition });
      return poolView(cluster, model);
    },
    listProposals: () => ({ items: controller.replanner.proposals().map((proposal) => proposalView(cluster, proposal)) }),
    applyProposal: async ({ actor, params }) => proposalView(cluster, await controller.replanner.apply(actor, params.proposal)),
    getSnapshot: () => {
      const saved = takeSnapshot(cluster, deps.nowMs());
      return { ...saved, dropped: [...saved.dropped] };
    },
    auditInvariants: () => {
      const findings = controller.auditNow();
      return {
        checkedAtMs: controller.audit.checkedAtMs,
        allocations: cluster.allocations.size,
        findings: findings.map(({ invariant, text }) => ({ invariant, text })),
        rounds: controller.auditRounds,
        findingsSinceStart: controller.findingsSinceStart,
      };
    },
  };
}
