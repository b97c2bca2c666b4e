import type { QuotaNode, QuotaTree } from './quota-tree.ts';

/** The largest part of what it is entitled to that is used, 0 for nothing used and Infinity where that is nothing. */
export function saturation(tree: QuotaTree, node: QuotaNode): number {
  let largest = 0;
  for (let axis = 0; axis < node.used.length; axis += 1) {
    const used = node.used[axis] ?? 0;
    if (used > 0 && tree.isPromised(axis)) largest = Math.max(largest, used / (node.entitled[axis] ?? 0));
  }
  return largest;
}

/** On each axis the part of the organisation's capacity that a node holds beyond what it is entitled to; all it holds where nothing is promised to anybody. */
export function surplusShares(tree: QuotaTree, node: QuotaNode): Float64Array {
  const promises = tree.hasPromises;
  return node.used.map((used, axis) => {
    const capacity = tree.root.limit[axis] ?? 0;
    if (capacity === 0 || capacity === Number.POSITIVE_INFINITY || (promises && !tree.isPromised(axis))) return 0;
    return Math.max(0, used - (promises ? (node.entitled[axis] ?? 0) : 0)) / capacity;
  });
}

/** The dominant share: the largest part on any axis, by weight. */
export function dominant(shares: Float64Array, node: QuotaNode): number {
  let largest = 0;
  for (let axis = 0; axis < shares.length; axis += 1) largest = Math.max(largest, shares[axis] ?? 0);
  return largest / node.weight;
}
