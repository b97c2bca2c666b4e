import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { afterTable, nvlinkGroups, type TopologyRow } from './nvlink-groups.ts';

const row = (index: number, ...nvlinks: readonly number[]): TopologyRow => ({ index, nvlinks, numaNode: undefined });

/** A machine of `size` GPUs and links between some of them. */
const machine = fc
  .integer({ min: 2, max: 16 })
  .chain((size) =>
    fc.tuple(fc.constant(size), fc.array(fc.tuple(fc.nat(size - 1), fc.nat(size - 1)).filter(([one, other]) => one !== other))),
  );

function rowsOf(size: number, links: readonly (readonly [number, number])[]): readonly TopologyRow[] {
  return Array.from({ length: size }, (_, index) =>
    row(index, ...new Set(links.flatMap(([one, other]) => (one === index ? [other] : other === index ? [one] : [])))),
  );
}

describe('NVLink groups', () => {
  it('are named by their lowest index, and a GPU without links is in none', () => {
    expect([...nvlinkGroups([row(0), row(1, 3), row(2, 5), row(3, 1), row(5, 2)])].sort()).toEqual([
      [1, 1],
      [2, 2],
      [3, 1],
      [5, 2],
    ]);
  });

  it('join GPUs that reach each other by way of a third', () => {
    expect([...nvlinkGroups([row(0, 1), row(1, 0, 2), row(2, 1)]).values()]).toEqual([0, 0, 0]);
  });

  it('hold two linked GPUs together, and none that no chain of links joins', () => {
    fc.assert(
      fc.property(machine, ([size, links]) => {
        const groups = nvlinkGroups(rowsOf(size, links));
        for (const [one, other] of links) expect(groups.get(one)).toBe(groups.get(other));
        expect([...groups.keys()].sort()).toEqual([...new Set(links.flat())].sort());
        for (const name of new Set(groups.values())) {
          const members = [...groups].filter(([, group]) => group === name).map(([index]) => index);
          expect(Math.min(...members)).toBe(name);
          // From the lowest every other one is reached, in at most as many rounds as there are members.
          let reached = new Set([name]);
          for (const _round of members)
            reached = new Set([...reached, ...links.filter((link) => link.some((end) => reached.has(end))).flat()]);
          expect([...reached].sort()).toEqual(members.sort());
        }
      }),
    );
  });

  it('are the same in whatever order the rows come', () => {
    fc.assert(
      fc.property(machine, ([size, links]) => {
        const rows = rowsOf(size, links);
        expect(new Map(nvlinkGroups(rows.toReversed()))).toEqual(new Map(nvlinkGroups(rows)));
      }),
    );
  });
});

describe('another table of the same GPUs', () => {
  it('adds links and takes none away', () => {
    const before = [row(0, 1), row(1, 0), row(2)];
    expect(afterTable(before, [row(0), row(1, 2), row(2, 1)])).toEqual([row(0, 1), row(1, 0, 2), row(2, 1)]);
  });

  it('tells the NUMA node anew, and leaves it where it says nothing', () => {
    const at = (numaNode: number | undefined): TopologyRow => ({ index: 0, nvlinks: [], numaNode });
    expect(afterTable([at(1)], [at(0)])).toEqual([at(0)]);
    expect(afterTable([at(1)], [at(undefined)])).toEqual([at(1)]);
  });
});
