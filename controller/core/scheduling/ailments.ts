// The conditions that keep work away from GPUs and nodes: named for people, and taken away to see whether that would help.
import { actionTexts, type Condition, type ConditionKind, conditionKinds, keepsWorkAway } from '@astrago/shared/domain/condition';
import type { Cluster } from '../cluster/cluster.ts';
import type { ObservedNode } from '../cluster/observed.ts';
import { type WaitingReason, waitingReasons } from '../reason.ts';
import { modelFits } from './gpu-view.ts';

/** Those of a GPU, or of a node as a whole, that keep new work away. */
export function ailmentsOf(conditions: readonly Condition[]): readonly ConditionKind[] {
  return conditions.map(({ kind }) => kind).filter(keepsWorkAway);
}

/**
 * The text of a reason; where it is the health of something, with what ails how many, and what to do about each.
 *
 * @param model that is asked for; of other GPUs nothing is said.
 */
export function reasonText(cluster: Cluster, model: string | undefined, reason: WaitingReason): string {
  const text = waitingReasons[reason];
  if (reason !== 'DeviceUnhealthy' && reason !== 'NodeUnhealthy') return text;
  const nodes = [...cluster.observed.values()];
  const ailing =
    reason === 'NodeUnhealthy'
      ? nodes.map(({ conditions }) => ailmentsOf(conditions))
      : nodes.flatMap(({ gpus }) => gpus.filter((gpu) => modelFits(gpu.model, model)).map(({ conditions }) => ailmentsOf(conditions)));
  const what = reason === 'NodeUnhealthy' ? (['node', 'nodes'] as const) : (['GPU', 'GPUs'] as const);
  const counts = new Map<ConditionKind, number>();
  for (const kind of ailing.flat()) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  const named = [...counts]
    .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
    .map(([kind, count]) => `${count} ${count === 1 ? what[0] : what[1]} ${count === 1 ? 'has' : 'have'} ${kind}: ${actionTextOf(kind)}`);
  return named.length === 0 ? text : `${text} (${named.join('; ')})`;
}

function actionTextOf(kind: ConditionKind): string {
  return actionTexts[conditionKinds[kind].action];
}

export interface Mending {
  /** As half a sentence: `reset it` becomes `mending a/0 (xid-needs-reset: reset it)`. */
  readonly text: string;
  /** The node as it would be. */
  readonly node: ObservedNode;
}

/** One a node that ails as a whole, and one a GPU. */
export function mendings(cluster: Cluster): readonly Mending[] {
  return [...cluster.observed.values()].flatMap((node) => {
    const ofNode = node.conditions.map(({ kind }) => kind).filter(isInTheWay);
    const whole: readonly Mending[] =
      ofNode.length === 0 ? [] : [{ text: mendingText(node.name, ofNode), node: { ...node, conditions: without(node.conditions) } }];
    const single = node.gpus.flatMap((gpu): readonly Mending[] => {
      const kinds = ailmentsOf(gpu.conditions);
      if (kinds.length === 0) return [];
      const gpus = node.gpus.map((other) => (other === gpu ? { ...gpu, conditions: without(gpu.conditions) } : other));
      return [{ text: mendingText(`${node.name}/${gpu.index}`, kinds), node: { ...node, gpus } }];
    });
    return [...whole, ...single];
  });
}

function mendingText(what: string, kinds: readonly ConditionKind[]): string {
  return `mending ${what} (${kinds.map((kind) => `${kind}: ${actionTextOf(kind)}`).join('; ')})`;
}

function without(conditions: readonly Condition[]): readonly Condition[] {
  return conditions.filter(({ kind }) => !isInTheWay(kind));
}

/** Where another program cuts the GPUs nothing is recut, though existing slices serve. */
function isInTheWay(kind: ConditionKind): boolean {
  return keepsWorkAway(kind) || kind === 'other-mig-manager';
}
