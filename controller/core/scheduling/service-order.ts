import type { QuotaNode } from '../quota/quota-tree.ts';
import { ServiceOrder } from '../quota/service-order.ts';
import type { QueuedUnit } from './gang.ts';
import type { Holds } from './holds.ts';
import { chargeOfUnit } from './pledges.ts';
import type { Scheduler } from './scheduler.ts';

/**
 * The queue, unit by unit: first those for whom room was made, since nobody is to be stopped in vain; then of the
 * workspace whose turn it is, in the order of its own queue, and last those of workspaces that are not known. Whose turn it
 * is depends on what was placed before, so it is asked for one unit at a time.
 */
export function* serviceOrder(scheduler: Scheduler, units: readonly QueuedUnit[], holds: Holds): Generator<QueuedUnit> {
  const promised = new Set(holds.beneficiaries.size === 0 ? [] : units.filter((unit) => holds.isPromised(unit)));
  yield* promised;
  const left = promised.size === 0 ? units : units.filter((unit) => !promised.has(unit));
  const { quotas } = scheduler;
  const { root } = quotas.tree;
  const queues = Map.groupBy(left, ({ members: [first] }) => (first === undefined ? root : quotas.leafOf(first.workspace)));
  if (queues.size < 2) {
    yield* left;
    return;
  }
  const chargeOf = (unit: QueuedUnit): Float64Array => chargeOfUnit(scheduler, unit) ?? new Float64Array(quotas.tree.axes.names.length);
  const unknown = queues.get(root) ?? [];
  queues.delete(root);
  const heads = [...queues].flatMap(([leaf, [head]]) => (head === undefined ? [] : [[leaf, chargeOf(head)] as const]));
  const order = new ServiceOrder(quotas.tree, heads);
  const passed = new Map<QuotaNode, number>();
  for (let turn = order.turn(); turn !== undefined; turn = order.turn()) {
    const { leaf } = turn;
    const queue = queues.get(leaf);
    const at = passed.get(leaf) ?? 0;
    passed.set(leaf, at + 1);
    const unit = queue?.[at];
    if (unit !== undefined) yield unit;
    const next = queue?.[at + 1];
    order.offer(leaf, next === undefined ? undefined : chargeOf(next));
  }
  yield* unknown;
}
