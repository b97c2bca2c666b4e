import type { WorkspaceName } from '@astrago/shared/domain/ids';
import type { QuotaTree } from '../quota/quota-tree.ts';
import type { QueuedUnit } from './gang.ts';
import type { Holds } from './holds.ts';

/**
 * The queue, unit by unit: first those for whom room was made, since nobody is to be stopped in vain; then of the
 * workspace whose turn it is, in the order of its own queue. Whose turn it is depends on what was placed before, so it is
 * asked for one unit at a time.
 */
export function* serviceOrder(tree: QuotaTree, units: readonly QueuedUnit[], holds: Holds): Generator<QueuedUnit> {
  const promised = holds.beneficiaries.size === 0 ? [] : units.filter((unit) => holds.isPromised(unit));
  yield* promised;
  const left = promised.length === 0 ? units : units.filter((unit) => !promised.includes(unit));
  const queues = Map.groupBy(left, ({ members: [first] }) => first?.workspace);
  if (queues.size < 2) {
    yield* left;
    return;
  }
  const positions = new Map<WorkspaceName, number>();
  const isWaiting = (workspace: WorkspaceName): boolean => (positions.get(workspace) ?? 0) < (queues.get(workspace)?.length ?? 0);
  for (;;) {
    const workspace = tree.next(isWaiting) ?? [...queues.keys()].find((name) => name !== undefined && isWaiting(name));
    if (workspace === undefined) return;
    const position = positions.get(workspace) ?? 0;
    positions.set(workspace, position + 1);
    const unit = queues.get(workspace)?.[position];
    if (unit !== undefined) yield unit;
  }
}
