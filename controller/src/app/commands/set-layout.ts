import { formatLayout } from '@astrago/shared/domain/mig/layout';
import { parseLayoutRequest } from '@astrago/shared/domain/mig/request';
import type { Cluster } from '#core/cluster/cluster';
import type { ObservedGpu } from '#core/cluster/observed';
import { type LayoutPlan, planLayout } from '#core/repartition/plan';
import type { Journal } from '../journal.ts';
import { Refusal } from '../refusal.ts';

export interface LayoutAsk {
  readonly layout: string | undefined;
  readonly automatic: boolean | undefined;
}

/** What setting the layout would do; nothing is changed. */
export function previewLayout(cluster: Cluster, gpu: ObservedGpu, ask: LayoutAsk): LayoutPlan {
  if (ask.layout === undefined) return unchanged(cluster, gpu);
  const parsed = parseLayoutRequest(ask.layout);
  if (parsed.kind === 'unreadable')
    throw new Refusal('invalid-request', `${JSON.stringify(parsed.part)} is not part of a layout: ${parsed.hint}`);
  const answer = planLayout(cluster, gpu.uuid, parsed.request);
  if (answer.kind === 'impossible') throw new Refusal('impossible-layout', answer.text);
  if (answer.kind === 'blocked') throw new Refusal('layout-blocked', answer.text, { blockers: answer.blockers });
  return answer;
}

/** Orders the layout and pins it, or gives the GPU back to the scheduler. */
export function setLayout(journal: Journal, actor: string, gpu: ObservedGpu, ask: LayoutAsk): Promise<LayoutPlan> {
  return journal.commit(actor, (draft) => {
    const plan = previewLayout(draft.cluster, gpu, ask);
    const pinned = ask.layout !== undefined;
    draft.apply({ kind: 'layout', record: { gpu: gpu.uuid, node: gpu.node, layout: plan.layout, pinned } });
    draft.audit(pinned ? 'pin-layout' : 'release-layout', gpu.uuid, formatLayout(plan.layout));
    return plan;
  });
}

function unchanged(cluster: Cluster, gpu: ObservedGpu): LayoutPlan {
  const layout = cluster.layoutOf(gpu);
  const keep = layout.kind === 'mig' ? layout.slices.map((slice) => ({ ...slice, workload: undefined })) : [];
  return { kind: 'plan', layout, keep, create: [], destroy: [], modeChange: 'none', text: 'the scheduler may recut it' };
}
