// One look at all nodes for one ask, node by node: who could take it, for what score, and why the others do not.
import { formatLayout } from '@astrago/shared/domain/mig/layout';
import { formatSlice } from '@astrago/shared/domain/mig/slice';
import type { Cluster } from '../cluster/cluster.ts';
import type { WaitingReason } from '../reason.ts';
import type { Placement } from '../scheduling/decision.ts';
import { type Ask, schedulerOf } from '../scheduling/scheduler.ts';
import { primaryReason } from './census.ts';
import { lookAtNode } from './node-look.ts';
import { nodeViews } from './node-view.ts';

export interface TraceCandidate {
  readonly node: string;
  /** Of the GPUs; absent where it asks for none. */
  readonly model: string | undefined;
  /** Ways with a lower number are preferred, whatever their score. */
  readonly tier: number;
  /** Higher is better; only to be compared within this trace. */
  readonly score: number;
  /** The devices it would get: `0`, `1 3g.40gb@4`. */
  readonly devices: readonly string[];
  /** Layouts that would be ordered for it: `1 3g.40gb@0,3g.40gb@4`. */
  readonly layouts: readonly string[];
}

export interface TraceRejection {
  readonly node: string;
  readonly reason: WaitingReason;
  /** How many of its GPUs, or the node itself, for each reason. */
  readonly counts: readonly { readonly reason: WaitingReason; readonly count: number }[];
}

export interface Trace {
  /** The best first, each on another node; as many as asked for. */
  readonly candidates: readonly TraceCandidate[];
  /** The first in the order of names; as many as asked for. */
  readonly rejected: readonly TraceRejection[];
  /** All nodes that could take it, and all that could not. */
  readonly candidateNodes: number;
  readonly rejectedNodes: number;
}

export interface TraceBounds {
  readonly candidatesMax: number;
  readonly rejectedMax: number;
}

/** Quotas and the queue are left out: this is about places. The ask may be of work that nobody has submitted. */
export function traceOf(
  cluster: Cluster,
  ask: Ask,
  { candidatesMax, rejectedMax }: TraceBounds = { candidatesMax: 10, rejectedMax: 20 },
): Trace {
  let candidateNodes = 0;
  const rejected: TraceRejection[] = [];
  let rejectedNodes = 0;
  for (const view of nodeViews(cluster).toSorted((a, b) => (a.node.name < b.node.name ? -1 : 1))) {
    const counts = new Map<WaitingReason, number>();
    if (lookAtNode(view, ask, (reason, by) => counts.set(reason, (counts.get(reason) ?? 0) + by)) > 0) {
      candidateNodes += 1;
      continue;
    }
    rejectedNodes += 1;
    if (rejected.length >= rejectedMax) continue;
    const listed = [...counts].map(([reason, count]) => ({ reason, count })).sort((a, b) => b.count - a.count);
    rejected.push({ node: view.node.name, reason: counts.size === 0 ? 'TooFewGpusOnNode' : primaryReason(counts), counts: listed });
  }
  return { candidates: bestOf(cluster, ask, candidatesMax), rejected, candidateNodes, rejectedNodes };
}

function bestOf(cluster: Cluster, ask: Ask, most: number): readonly TraceCandidate[] {
  const scheduler = schedulerOf(cluster);
  const variants = scheduler.variantsOf(ask);
  const seen = new Set<string>();
  const found: TraceCandidate[] = [];
  while (found.length < most) {
    const next = scheduler.find(ask, variants, (bay) => !seen.has(bay.node));
    if (next === undefined) break;
    seen.add(next.bay.node);
    const placement = scheduler.placementOf(ask, next);
    found.push({
      node: next.bay.node,
      model: ask.ask.kind === 'none' ? undefined : next.bay.kind?.model,
      tier: next.variant.tier,
      score: next.placement.score,
      ...takenBy(cluster, placement),
    });
  }
  return found;
}

function takenBy(cluster: Cluster, { devices, layouts }: Placement): Pick<TraceCandidate, 'devices' | 'layouts'> {
  const indexOf = (gpu: (typeof devices)[number]['gpu']): string => String(cluster.gpu(gpu)?.index ?? gpu);
  return {
    devices: devices.map(({ gpu, slice, share }) => {
      const part = slice === undefined ? (share === undefined ? '' : ` ${share.milli / 10} %`) : ` ${formatSlice(slice)}`;
      return `${indexOf(gpu)}${part}`;
    }),
    layouts: layouts.map(({ gpu, layout }) => `${indexOf(gpu)} ${formatLayout(layout)}`),
  };
}
