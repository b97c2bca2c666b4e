import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { QuotaAccount } from './quota-account.ts';
import { type QuotaNode, QuotaTree } from './quota-tree.ts';
import { ServiceOrder } from './service-order.ts';
import { ask, quotaTrees } from './testing/quota-trees.ts';

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
  });

  it('is twice as often that of who has twice the weight', () => {
    const specs = [{ ...team('a', undefined), weight: 2 }, team('b', undefined)];
    const tree = new QuotaTree({ name: 'org', capacity: { compute: 30 }, specs });
    const one = tree.vector({ compute: 1 });
    const served = serve(tree, new Map(tree.leaves().map((leaf) => [leaf, one])));
    expect([count(served, 'a'), count(served, 'b')]).toEqual([20, 10]);
  });

  it('weighs who names no guarantee against the others by its part of the rest', () => {
    const specs = [team('a', 8), { ...team('b', undefined), weight: 3 }, team('c', undefined)];
    const tree = new QuotaTree({ name: 'org', capacity: { compute: 16 }, specs });
    const one = tree.vector({ compute: 1 });
    const served = serve(tree, new Map(tree.leaves().map((leaf) => [leaf, one])));
    expect(['a', 'b', 'c'].map((name) => count(served.slice(0, 8), name))).toEqual([4, 3, 1]);
    expect(['a', 'b', 'c'].map((name) => count(served, name))).toEqual([8, 6, 2]);
  });

  it('gives every leaf its turn for all it asks, also beyond limits, where each ask is looked at once', () => {
    const tree = new QuotaTree({
      name: 'org',
      capacity: { compute: 4 },
      specs: [{ ...team('a', 1), limit: { compute: 1 } }, team('b', 1)],
    });
    const [a, b] = [tree.node('a'), tree.node('b')];
    const left = new Map([a, b].map((leaf) => [leaf, [3, 1, 1, 5].map((compute) => tree.vector({ compute }))]));
    const order = new ServiceOrder(
      tree,
      [...left].map(([leaf, asks]) => [leaf, asks[0] ?? new Float64Array(1)]),
    );
    const turns: string[] = [];
    for (let turn = order.turn(); turn !== undefined; turn = order.turn()) {
      const { leaf, ask } = turn;
      const verdict = tree.admit(leaf, ask);
      if (verdict.kind !== 'refused') tree.charge(leaf, ask, verdict.kind === 'borrowing');
      turns.push(`${leaf.name} ${(ask[0] ?? 0) / 1000} ${verdict.kind}`);
      left.get(leaf)?.shift();
      order.offer(leaf, left.get(leaf)?.[0]);
    }
    expect(turns).toEqual([
      'a 3 refused',
      'a 1 within-guarantee',
      'a 1 refused',
      'a 5 refused',
      'b 3 borrowing',
      'b 1 refused',
      'b 1 refused',
      'b 5 refused',
    ]);
  });

  it('says the same whether or not an offer went on up the tree', () => {
    fc.assert(
      fc.property(
        quotaTrees,
        fc.array(fc.record({ pick: fc.nat(), amount: fc.option(ask, { nil: undefined }), takes: fc.boolean() }), { maxLength: 40 }),
        (tree, events) => {
          const order = new ServiceOrder(tree);
          const asks = new Map<QuotaNode, Float64Array>();
          const leaves = tree.leaves();
          for (const { pick, amount, takes } of events) {
            const leaf = leaves[pick % leaves.length];
            if (leaf === undefined) return;
            const wanted = amount === undefined ? undefined : tree.vector(amount);
            if (takes && wanted !== undefined) tree.charge(leaf, wanted, !tree.fitsGuarantee(leaf, wanted));
            if (wanted === undefined) asks.delete(leaf);
            else asks.set(leaf, wanted);
            order.offer(leaf, wanted);
            const turn = order.turn();
            expect(turn === undefined).toBe(asks.size === 0);
            expect(turn?.leaf.name).toBe(new ServiceOrder(tree, asks).turn()?.leaf.name);
          }
        },
      ),
      { numRuns: 200 },
    );
  });
});
