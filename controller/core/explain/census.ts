// Why nothing takes an ask, GPU by GPU.
import type { Cluster } from '../cluster/cluster.ts';
import type { WaitingReason } from '../reason.ts';
import type { Ask } from '../scheduling/scheduler.ts';
import { type Count, lookAtNode } from './node-look.ts';
import { nodeViews } from './node-view.ts';

/** Why, and for how many GPUs (nodes where the ask has no GPU, 1 where the reason is about the ask itself). */
export type ReasonCounts = ReadonlyMap<WaitingReason, number>;

export interface Census {
  /** Of GPUs and nodes that could take it nothing is counted. */
  readonly reasons: ReasonCounts;
  /** How often the ask would find room, over all nodes. */
  readonly places: number;
  /** How many nodes could take it at least once. */
  readonly nodes: number;
}

export function censusOf(cluster: Cluster, ask: Ask): Census {
  const reasons = new Map<WaitingReason, number>();
  const count: Count = (reason, by) => void reasons.set(reason, (reasons.get(reason) ?? 0) + by);
  const views = nodeViews(cluster);
  if (views.length === 0) return { reasons: new Map([['NoNodes', 1]]), places: 0, nodes: 0 };
  let places = 0;
  let nodes = 0;
  for (const view of views) {
    const own = lookAtNode(view, ask, count);
    places += own;
    if (own > 0) nodes += 1;
  }
  if (ask.ask.kind !== 'none' && views.every(({ groups }) => groups.length === 0)) count('NoSuchModel', 1);
  return { reasons, places, nodes };
}

// From what mends itself soonest to what never does: a workload waits for the nearest thing that would let it go.
const nearestFirst: readonly WaitingReason[] = [
  'RoomIsMade',
  'RoomIsKept',
  'WaitingForQuota',
  'WaitingForGuarantee',
  'WaitingForBudget',
  'WaitingForGang',
  'LocalityUnmet',
  'WaitingForSlots',
  'SharedOtherwise',
  'FragmentedSlots',
  'WaitingForCpu',
  'WaitingForMemory',
  'LayoutPinned',
  'NodeCordoned',
  'NodeUnreachable',
  'NodeUnhealthy',
  'CutByOther',
  'DeviceUnhealthy',
  'NodeTainted',
  'LabelsDiffer',
  'ExceedsMaxQuota',
  'TooFewGpusOnNode',
  'TooLittleMemoryOnGpu',
  'NoSuchProfileOnModel',
  'NoSuchModel',
  'NoNodes',
  'PendingEvaluation',
];

/** The one reason that stands for all counted ones. */
export function primaryReason(reasons: ReasonCounts): WaitingReason {
  return nearestFirst.find((reason) => reasons.has(reason)) ?? 'NoNodes';
}
