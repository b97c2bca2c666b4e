// The conditions that keep work away from GPUs and nodes: named for people, and taken away to see whether that would help.
import { actionTexts, type Condition, type ConditionKind, conditionKinds, keepsWorkAway } from '@astrago/shared/domain/condition';
import type { NodeName } from '@astrago/shared/domain/ids';
import type { Cluster } from '../cluster/cluster.ts';
import type { ObservedNode } from '../cluster/observed.ts';
import { type WaitingReason, waitingReasons } from '../reason.ts';
import { modelFits } from '../scheduling/gpu-view.ts';

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

/** Something that ails, and would take work if it did not. */
export interface Mending {
  readonly node: NodeName;
  /** Index of the GPU; absent: the node as a whole. */
  readonly gpu: number | undefined;
  /** None of a node that does not answer. */
  readonly conditions: readonly ConditionKind[];
  /** `n1/0 (xid-needs-reset: reset it)`. */
  readonly text: string;
}

/**
 * One a node that ails as a whole or does not answer, and one a GPU.
 *
 * @param model that is asked for; other GPUs are left out.
 */
export function mendable(cluster: Cluster, model: string | undefined): readonly Mending[] {
  return [...cluster.observed.values()].flatMap((node) => {
    const ofNode = node.conditions.map(({ kind }) => kind).filter(isInTheWay);
    const whole = ofNode.length === 0 && node.state !== 'unreachable' ? [] : [mending(node.name, undefined, ofNode)];
    const single = node.gpus.flatMap(({ index, conditions, model: name }): readonly Mending[] => {
      const kinds = ailmentsOf(conditions);
      return kinds.length === 0 || !modelFits(name, model) ? [] : [mending(node.name, index, kinds)];
    });
    return [...whole, ...single];
  });
}

function mending(node: NodeName, gpu: number | undefined, conditions: readonly ConditionKind[]): Mending {
  const what = gpu === undefined ? node : `${node}/${gpu}`;
  if (conditions.length === 0) return { node, gpu, conditions, text: what };
  return { node, gpu, conditions, text: `${what} (${conditions.map((kind) => `${kind}: ${actionTextOf(kind)}`).join('; ')})` };
}

/** The node as it would be. */
export function mended(node: ObservedNode, { gpu: index }: Mending): ObservedNode {
  if (index === undefined) return { ...node, state: 'ready', conditions: without(node.conditions) };
  const gpus = node.gpus.map((gpu) => (gpu.index === index ? { ...gpu, conditions: without(gpu.conditions) } : gpu));
  return { ...node, gpus };
}

function without(conditions: readonly Condition[]): readonly Condition[] {
  return conditions.filter(({ kind }) => !isInTheWay(kind));
}

/** Where another program cuts the GPUs nothing is recut, though existing slices serve. */
function isInTheWay(kind: ConditionKind): boolean {
  return keepsWorkAway(kind) || kind === 'other-mig-manager';
}
