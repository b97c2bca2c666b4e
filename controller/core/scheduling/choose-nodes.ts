// Which nodes a workspace gets that wants so many of them for a time, and does not say which.
import { keepsWorkAway } from '@astrago/shared/domain/condition';
import type { NodeName } from '@astrago/shared/domain/ids';
import type { Cluster } from '../cluster/cluster.ts';
import type { ObservedNode } from '../cluster/observed.ts';
import { modelFits } from './gpu-view.ts';
import { outlasting } from './outlasting.ts';
import { reservedForOthers, type WantedTime } from './reserved-nodes.ts';

export interface WantedNodes extends WantedTime {
  /** 1 or more. */
  readonly count: number;
  /** Words that the model of a GPU of the node must hold; absent: any. */
  readonly model: string | undefined;
  /** Nodes that it has already, and keeps where they will do. */
  readonly has: readonly NodeName[];
}

export type ChosenNodes =
  | { readonly kind: 'chosen'; readonly nodes: readonly NodeName[] }
  /** @property found nodes that would do, fewer than were asked for. */
  | { readonly kind: 'too-few'; readonly found: number; readonly reservedForOthers: number };

/**
 * Of the nodes with such GPUs that take new work, those with the least work in the way: work of others that may not be
 * interrupted and is not known to end in time. Nodes with a taint come after all others; of equals the first by name.
 */
export function chooseNodes(cluster: Cluster, wanted: WantedNodes, nowMs: number): ChosenNodes {
  const fitting = [...cluster.observed.values()].filter((node) => takesWork(cluster, node) && hasGpu(node, wanted.model));
  const taken = reservedForOthers(cluster, wanted);
  const ranked = fitting
    .filter(({ name }) => !taken.has(name))
    .map(({ name }) => ({ name, rank: rankOf(cluster, name, wanted, nowMs) }))
    .sort((a, b) => firstDifference(a.rank, b.rank) || (a.name < b.name ? -1 : 1));
  if (ranked.length < wanted.count) return { kind: 'too-few', found: ranked.length, reservedForOthers: fitting.length - ranked.length };
  const nodes = ranked
    .slice(0, wanted.count)
    .map(({ name }) => name)
    .sort();
  return { kind: 'chosen', nodes };
}

function takesWork(cluster: Cluster, { name, state, conditions }: ObservedNode): boolean {
  return state !== 'unreachable' && cluster.nodes.get(name)?.cordoned !== true && !conditions.some(({ kind }) => keepsWorkAway(kind));
}

function hasGpu({ gpus }: ObservedNode, model: string | undefined): boolean {
  return gpus.some((gpu) => modelFits(gpu.model, model));
}

/** The lowest comes first. */
function rankOf(cluster: Cluster, name: NodeName, wanted: WantedNodes, nowMs: number): readonly number[] {
  const isTainted = (cluster.nodes.get(name)?.taints?.length ?? 0) > 0;
  return [wanted.has.includes(name) ? 0 : 1, isTainted ? 1 : 0, outlasting(cluster, name, wanted, nowMs).length];
}

function firstDifference(a: readonly number[], b: readonly number[]): number {
  return a.map((value, at) => value - (b[at] ?? 0)).find((difference) => difference !== 0) ?? 0;
}
