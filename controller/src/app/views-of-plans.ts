// Pools and proposals in the shapes of the API.
import type { Pool, Proposal as ProposalView } from '@astrago/api';
import type { WorkloadId } from '@astrago/shared/domain/ids';
import type { Layout } from '@astrago/shared/domain/mig/layout';
import type { Cluster } from '#core/cluster/cluster';
import { wantText } from '#core/repartition/demand';
import { poolModels } from '#core/repartition/pool-of';
import { modelFits } from '#core/scheduling/gpu-view';
import { Refusal } from './refusal.ts';
import { defaultMode, type Proposal } from './replan.ts';

export function poolView(cluster: Cluster, model: string): Pool {
  const gpus = cluster.gpus().filter((gpu) => gpu.model === model).length;
  return { model, gpus, repartition: cluster.pools.get(model)?.repartition ?? defaultMode };
}

/** The one model that is called so, or that has all these words. */
export function poolNamed(cluster: Cluster, words: string): string {
  const models = poolModels(cluster);
  const fitting = models.includes(words) ? [words] : models.filter((model) => modelFits(model, words));
  const [only] = fitting;
  if (only !== undefined && fitting.length === 1) return only;
  const known = models.length === 0 ? 'no GPU has reported yet' : `there are ${models.join(', ')}`;
  if (only === undefined) throw new Refusal('not-found', `no model has the words ${words}; ${known}`);
  throw new Refusal('invalid-request', `${words} fits ${fitting.join(', ')}; say which`);
}

export function proposalView(cluster: Cluster, proposal: Proposal): ProposalView {
  const { id, model, madeAtMs, plan, demand, cost, verdict } = proposal;
  const counts = Map.groupBy(plan.claims, (claim) => claim.demand);
  return {
    id,
    model,
    madeAtMs,
    text: inNames(cluster, proposal),
    changes: plan.changes.map(({ node, gpu, before, layout }) => ({ node, gpuUuid: gpu, before: copy(before), layout: copy(layout) })),
    moves: plan.moves.map(({ workload, from, to }) => ({
      workload: nameOf(cluster, workload),
      from: { gpuUuid: from.gpu, slice: { ...from.slice } },
      to: { gpuUuid: to.gpu, slice: { ...to.slice } },
    })),
    lostSliceSeconds: cost?.sliceSeconds ?? 0,
    gains: demand.flatMap((piece) => {
      const count = counts.get(piece.id)?.length ?? 0;
      return count === 0 ? [] : [{ ask: wantText(piece.want), count }];
    }),
    waits: verdict.kind === 'wait' ? { reason: verdict.reason, untilMs: verdict.untilMs } : undefined,
  };
}

function nameOf(cluster: Cluster, workload: string): string {
  return cluster.workloads.get(workload as WorkloadId)?.name ?? workload;
}

/** A plan speaks of ids; people say `sim-1/0`, and names. */
function inNames(cluster: Cluster, { text, plan }: Proposal): string {
  let told = plan.moves.reduce((before, { workload }) => before.replaceAll(workload, nameOf(cluster, workload)), text);
  for (const uuid of new Set([...plan.changes.map(({ gpu }) => gpu), ...plan.moves.flatMap(({ from, to }) => [from.gpu, to.gpu])])) {
    const gpu = cluster.gpu(uuid);
    if (gpu !== undefined) told = told.replaceAll(uuid, `${gpu.node}/${gpu.index}`);
  }
  return told;
}

function copy(layout: Layout): ProposalView['changes'][number]['layout'] {
  return layout.kind === 'whole' ? { kind: 'whole' } : { kind: 'mig', slices: layout.slices.map((slice) => ({ ...slice })) };
}
