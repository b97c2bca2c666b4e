import { describe, expect, it } from 'vitest';
import { type Charge, QuotaAccount } from './quota-account.ts';
import { type QuotaNode, QuotaTree } from './quota-tree.ts';
import { ServiceOrder } from './service-order.ts';
import { UsageHistory } from './usage-history.ts';

const team = (name: string, compute: number | undefined, parent?: string) => ({
  name,
  parent,
  guaranteed: compute === undefined ? {} : { compute },
  limit: {},
});

/** Serves until nothing fits; each leaf asks for the same again and again. */
function serve(tree: QuotaTree, asks: ReadonlyMap<QuotaNode, Float64Array>): string[] {
  const order = new ServiceOrder(tree);
  const account = new QuotaAccount(tree);
  for (const [leaf, ask] of asks) order.offer(leaf, ask);
  const served: string[] = [];
  for (let next = order.next(); next !== undefined; next = order.next()) {
    const { leaf, ask } = next;
    account.start({ id: `w${served.length}`, leaf, amount: ask, priority: 0, startedAtMs: 0, sequence: served.length });
    served.push(leaf.name);
    order.changed(leaf);
  }
  return served;
}

const count = (served: readonly string[], name: string): number => served.filter((one) => one === name).length;

describe('the order of service', () => {
  it('gives the example of the DRF paper three and two tasks', () => {
    const tree = new QuotaTree({ name: 'org', capacity: { cpu: 9, memory: 18 }, specs: [team('a', undefined), team('b', undefined)] });
    const served = serve(
      tree,
      new Map([
        [tree.node('a'), tree.vector({ cpu: 1, memory: 4 })],
        [tree.node('b'), tree.vector({ cpu: 3, memory: 1 })],
      ]),
    );
    expect([count(served, 'a'), count(served, 'b')]).toEqual([3, 2]);
  });

  it('serves guarantees first, the least saturated first, and then what is left by weight in the tree', () => {
    const tree = new QuotaTree({
      name: 'org',
      capacity: { compute: 18 },
      specs: [{ ...team('d', undefined), weight: 2 }, team('d1', 2, 'd'), team('d2', 0, 'd'), team('e', 4)],
    });
    const one = tree.vector({ compute: 1 });
    const served = serve(tree, new Map(['d1', 'd2', 'e'].map((name) => [tree.node(name), one])));
    expect(served.slice(0, 6).sort()).toEqual(['d1', 'd1', 'e', 'e', 'e', 'e']);
    // Of the 12 beyond the guarantees, two thirds go to d, in halves to its teams.
    expect(['d1', 'd2', 'e'].map((name) => count(served, name))).toEqual([6, 4, 8]);
  });

  it('does not let a team starve beside a sibling that needs another resource', () => {
    const tree = new QuotaTree({
      name: 'org',
      capacity: { cpu: 100, compute: 100 },
      specs: [
        team('n1', undefined),
        team('n2', undefined),
        { ...team('cpu', undefined), parent: 'n2' },
        { ...team('gpu', undefined), parent: 'n2' },
      ],
    });
    const served = serve(
      tree,
      new Map([
        [tree.node('n1'), tree.vector({ cpu: 1 })],
        [tree.node('cpu'), tree.vector({ cpu: 1 })],
        [tree.node('gpu'), tree.vector({ compute: 1 })],
      ]),
    );
    expect([count(served, 'n1'), count(served, 'cpu'), count(served, 'gpu')]).toEqual([50, 50, 100]);
  });

  it('passes over who is at a limit until something below it is released', () => {
    const tree = new QuotaTree({ name: 'org', capacity: { compute: 2 }, specs: [team('a', 1), team('b', 1)] });
    const [a, b] = [tree.node('a'), tree.node('b')];
    const one = tree.vector({ compute: 1 });
    const order = new ServiceOrder(tree);
    const account = new QuotaAccount(tree);
    for (const [sequence, leaf] of [a, b].entries())
      account.start({ id: leaf.name, leaf, amount: one, priority: 0, startedAtMs: 0, sequence });
    order.offer(a, one);
    expect(order.next()).toBeUndefined();
    account.end('b');
    order.changed(b, true);
    expect(order.next()).toEqual({ leaf: a, ask: one, borrows: true });
    order.park(a);
    expect(order.next()).toBeUndefined();
    order.unpark();
    expect(order.next()?.leaf).toBe(a);
  });

  it('lets two queues of endless work that fills the machine take turns by what they have used', () => {
    const tree = new QuotaTree({ name: 'org', capacity: { compute: 16 }, specs: [team('a', 0), team('b', 0)] });
    const history = new UsageHistory(tree, { halfLifeMs: 4 * 3_600_000, strength: 1, startMs: 0 });
    const order = new ServiceOrder(tree, history);
    const account = new QuotaAccount(tree);
    const all = tree.vector({ compute: 16 });
    for (const leaf of tree.leaves()) order.offer(leaf, all);
    const hours = new Map<string, number>();
    let sequence = 0;
    for (let hour = 0; hour < 400; hour += 1) {
      history.advance(hour * 3_600_000);
      for (const { id, leaf } of [...account.all()] satisfies Charge[]) {
        account.end(id);
        order.changed(leaf, true);
      }
      order.refresh();
      const leaf = order.next()?.leaf;
      if (leaf === undefined) throw new Error('nothing runs and somebody waits');
      sequence += 1;
      account.start({ id: `w${sequence}`, leaf, amount: all, priority: 0, startedAtMs: hour, sequence });
      hours.set(leaf.name, (hours.get(leaf.name) ?? 0) + 1);
    }
    expect(Math.abs((hours.get('a') ?? 0) - 200)).toBeLessThanOrEqual(10);
  });
});
