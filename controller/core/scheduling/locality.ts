import type { ObservedGpu } from '../cluster/observed.ts';
import type { LocalityWish } from '../cluster/records.ts';

/** The levels within a node; any other is `node` or the key of a node label. */
const groupOf: Readonly<Record<string, (gpu: ObservedGpu) => number | undefined>> = {
  nvlink: ({ nvlinkGroup }) => nvlinkGroup,
  numa: ({ numaNode }) => numaNode,
};

export function isWithinNode({ level }: LocalityWish): boolean {
  return groupOf[level] !== undefined;
}

/** Groups of GPUs that are close to each other on every level named; all of them in one where no level is. */
function groupsBy(gpus: readonly ObservedGpu[], wishes: readonly LocalityWish[]): readonly (readonly ObservedGpu[])[] {
  const groups = Map.groupBy(gpus, (gpu) => {
    const places = wishes.map(({ level }) => groupOf[level]?.(gpu));
    // A GPU of which it is not known is close to none.
    return places.includes(undefined) ? gpu.uuid : places.join();
  });
  return [...groups.values()];
}

/** Whether so many of the GPUs are as close together as must be. */
export function canBeClose(free: readonly ObservedGpu[], count: number, together: readonly LocalityWish[] | undefined): boolean {
  const needed = together?.filter((wish) => wish.required && isWithinNode(wish)) ?? [];
  return needed.length === 0 || count < 2 || groupsBy(free, needed).some((group) => group.length >= count);
}

/**
 * So many of the GPUs, the first in their order that are as close as is asked for. Without a wish NVLink is one that
 * costs nothing. The smallest group that has enough is taken, so that large ones stay whole.
 */
export function closest(
  free: readonly ObservedGpu[],
  count: number,
  together: readonly LocalityWish[] | undefined,
): readonly ObservedGpu[] {
  if (count < 2) return free.slice(0, count);
  const wishes = together?.filter(isWithinNode) ?? [{ level: 'nvlink', required: false }];
  for (const asked of [wishes, wishes.filter(({ required }) => required)]) {
    const fitting = groupsBy(free, asked).filter((group) => group.length >= count);
    const [best] = fitting.toSorted((a, b) => a.length - b.length);
    if (best !== undefined) return best.slice(0, count);
  }
  return free.slice(0, count);
}
