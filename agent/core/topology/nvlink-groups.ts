// Which GPUs of a machine reach each other over NVLink, from which are linked.

/** One GPU's row of the driver's topology table. */
export interface TopologyRow {
  readonly index: number;
  /** Indexes of the GPUs that it is linked to over NVLink; never its own. */
  readonly nvlinks: readonly number[];
  /** As the kernel numbers them; absent: not known, or more than one. */
  readonly numaNode: number | undefined;
}

/**
 * The group of each GPU by its index, named by the lowest index in it. GPUs that only reach each other by way of a third
 * are in one group. A GPU that is linked to none is in none.
 */
export function nvlinkGroups(rows: readonly Pick<TopologyRow, 'index' | 'nvlinks'>[]): ReadonlyMap<number, number> {
  const neighbours = new Map<number, Set<number>>();
  const link = (from: number, to: number): void => {
    neighbours.set(from, (neighbours.get(from) ?? new Set()).add(to));
  };
  for (const { index, nvlinks } of rows)
    for (const other of nvlinks) {
      link(index, other);
      link(other, index);
    }
  const groups = new Map<number, number>();
  for (const first of [...neighbours.keys()].sort((a, b) => a - b)) {
    const reached = [first];
    for (let index = reached.pop(); index !== undefined; index = reached.pop()) {
      if (groups.has(index)) continue;
      groups.set(index, first);
      reached.push(...(neighbours.get(index) ?? []));
    }
  }
  return groups;
}

/** What is known of the same GPUs after another table: a link that was seen once stays, as MIG mode hides it. */
export function afterTable(before: readonly TopologyRow[], now: readonly TopologyRow[]): readonly TopologyRow[] {
  return now.map((row) => {
    const earlier = before.find(({ index }) => index === row.index);
    if (earlier === undefined) return row;
    return {
      index: row.index,
      nvlinks: [...new Set([...earlier.nvlinks, ...row.nvlinks])].sort((a, b) => a - b),
      numaNode: row.numaNode ?? earlier.numaNode,
    };
  });
}
