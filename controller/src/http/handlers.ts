// What each route of the table does. The types come from the table, so a route without a handler does not compile.

import type { RouteName, routes } from '@astrago/api';
import { parseNodeName, parseWorkspaceName } from '@astrago/shared/domain/ids';
import type { z } from 'zod';
import type { WorkloadRecord } from '#core/cluster/records';
import { putWorkspace, setCordon } from '../app/commands/govern.ts';
import { previewLayout, setLayout } from '../app/commands/set-layout.ts';
import { stop } from '../app/commands/stop.ts';
import { submit } from '../app/commands/submit.ts';
import type { Controller } from '../app/controller.ts';
import type { Store } from '../app/ports.ts';
import { Refusal } from '../app/refusal.ts';
import { takeSnapshot } from '../app/take-snapshot.ts';
import { findGpu, gpuView, nodeView, planView, workloadView, workspaceView } from '../app/views.ts';
import { whyView } from '../app/why-view.ts';
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

export function findWorkload(store: Pick<Store, 'findWorkload'>, name: string, workspace: string | undefined): WorkloadRecord {
  const record = store.findWorkload(name, workspace);
  if (record === undefined)
    throw new Refusal(
      'not-found',
      `there is no workload ${name}${workspace === undefined ? '' : ` in workspace ${workspace}`}; astrago ps --all lists them`,
    );
  return record;
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
    return nodeView(cluster, node, fleet.lastSeenMs(node.name));
  };
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
    submitWorkload: async ({ actor, body, idempotencyKey }) =>
      view(
        await submit(
          {
            journal,
            store,
            nextWorkloadId: () => controller.nextWorkloadId(),
            nextSequence: () => controller.nextSequence(),
            nowMs: deps.nowMs,
          },
          actor,
          body,
          idempotencyKey,
        ),
      ),
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
    getWorkload: ({ params, query }) => view(findWorkload(store, params.workload, query.workspace)),
    whyWorkload: ({ params, query }) => whyView(cluster, findWorkload(store, params.workload, query.workspace), deps.nowMs(), query.trace),
    stopWorkload: async ({ actor, params, query }) =>
      view(await stop({ journal, nowMs: deps.nowMs }, actor, findWorkload(store, params.workload, query.workspace))),
    listWorkspaces: () => ({
      items: [...cluster.workspaces.values()].sort((a, b) => (a.name < b.name ? -1 : 1)).map((record) => workspaceView(cluster, record)),
    }),
    putWorkspace: async ({ actor, params, body }) => {
      const name = parseWorkspaceName(params.workspace);
      if (name === undefined) throw new Refusal('invalid-request', `${params.workspace} is not a workspace name`);
      return workspaceView(cluster, await putWorkspace(journal, actor, name, { compute: body.limit.compute, memory: body.limit.memory }));
    },
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
