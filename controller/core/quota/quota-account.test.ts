import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Amounts } from './amounts.ts';
import { type Charge, QuotaAccount } from './quota-account.ts';
import { type QuotaNode, QuotaTree } from './quota-tree.ts';
import { ask, quotaTrees } from './testing/quota-trees.ts';

const team = (name: string, guaranteed: Amounts, limit: Amounts = {}, parent?: string) => ({ name, parent, guaranteed, limit });
let sequence = 0;
function charge(leaf: QuotaNode, amount: Float64Array): Charge {
  sequence += 1;
  return { id: `w${sequence}`, leaf, amount, priority: 0, startedAtMs: sequence, sequence };
}

function snapshot(account: QuotaAccount): unknown {
  return {
    nodes: [...account.tree.nodes()].map(({ name, used, nonBorrowed, restUsed, rest, entitled, guaranteed, limit }) => [
      name,
      [...used],
      [...nonBorrowed],
      [...restUsed],
      [...rest],
      [...entitled],
      [...guaranteed],
      [...limit],
    ]),
    charges: [...account.all()].map((one) => [one.id, account.isBorrowed(one)]).sort(),
  };
}

/** Invariants 1 and 2: promises are kept, accounts add up, and without what is lent every promise has room. */
function check(account: QuotaAccount): void {
  const { tree } = account;
  for (const node of tree.nodes())
    for (const axis of tree.axes.names.keys()) {
      expect(node.nonBorrowed[axis]).toBeLessThanOrEqual(node.guaranteed[axis] ?? 0);
      expect(node.used[axis]).toBeLessThanOrEqual(node.limit[axis] ?? 0);
      const below = [...account.all()].filter(({ leaf }) => isBelow(leaf, node));
      expect(node.used[axis]).toBe(below.reduce((sum, { amount }) => sum + (amount[axis] ?? 0), 0));
      const kept = below.filter((one) => !account.isBorrowed(one));
      expect(node.nonBorrowed[axis]).toBe(kept.reduce((sum, { amount }) => sum + (amount[axis] ?? 0), 0));
      expect(node.restUsed[axis]).toBeLessThanOrEqual(node.rest[axis] ?? 0);
      const ofRest = kept.filter(({ leaf }) => !isNamedBetween(leaf, node, axis));
      expect(node.restUsed[axis]).toBe(ofRest.reduce((sum, { amount }) => sum + (amount[axis] ?? 0), 0));
    }
}

function isNamedBetween(leaf: QuotaNode, node: QuotaNode, axis: number): boolean {
  for (let at: QuotaNode | undefined = leaf; at !== undefined && at !== node; at = at.parent)
    if (at.guaranteed[axis] !== Number.POSITIVE_INFINITY) return true;
  return false;
}

function isBelow(leaf: QuotaNode, node: QuotaNode): boolean {
  for (let at: QuotaNode | undefined = leaf; at !== undefined; at = at.parent) if (at === node) return true;
  return false;
}

describe('what is within a guarantee', () => {
  const tree = new QuotaTree({
    name: 'org',
    capacity: { compute: 20, 'compute/h100': 10, 'compute/a100': 10 },
    specs: [
      team('research', { compute: 12 }),
      team('vision', { 'compute/h100': 4 }, {}, 'research'),
      team('speech', { compute: 6 }, { compute: 8 }, 'research'),
      team('web', { 'compute/a100': 4 }),
    ],
  });

  it('is lent beyond it, and refused with the node and the numbers where a limit is in the way', () => {
    const speech = tree.node('speech');
    expect(tree.admit(tree.node('vision'), tree.vector({ 'compute/h100': 4 }))).toEqual({ kind: 'within-guarantee' });
    expect(tree.admit(tree.node('vision'), tree.vector({ 'compute/h100': 5 }))).toEqual({ kind: 'borrowing' });
    // Of this class it names none: it has what others are not promised, within its promise of the total.
    expect(tree.admit(speech, tree.vector({ 'compute/h100': 6 }))).toEqual({ kind: 'within-guarantee' });
    expect(tree.admit(speech, tree.vector({ compute: 6, 'compute/h100': 6.001 }))).toEqual({ kind: 'borrowing' });
    expect(tree.admit(speech, tree.vector({ compute: 6 }))).toEqual({ kind: 'within-guarantee' });
    tree.charge(speech, tree.vector({ compute: 6.5 }), true);
    expect(tree.admit(speech, tree.vector({ compute: 2 }))).toEqual({
      kind: 'refused',
      node: 'speech',
      resource: 'compute',
      limit: 8,
      used: 6.5,
      asked: 2,
      when: 'now',
      withinGuarantee: true,
    });
    expect(tree.admit(speech, tree.vector({ compute: 9 }))).toMatchObject({ node: 'speech', when: 'never', withinGuarantee: false });
    tree.release(speech, tree.vector({ compute: 6.5 }), true);
  });

  it('is found where promises below come to more than the node has', () => {
    const undo = tree.setQuota('research', { guaranteed: { compute: 9 }, limit: {} });
    expect(tree.overcommitments()).toContainEqual({
      kind: 'overcommitted',
      name: 'research',
      resource: 'compute',
      guaranteed: 9,
      promised: 10,
    });
    undo();
    expect(tree.overcommitments()).toEqual([]);
  });
});

describe('the account', () => {
  it('promotes the work that borrowed first when a guarantee has room again', () => {
    const tree = new QuotaTree({ name: 'org', capacity: { compute: 10 }, specs: [team('a', { compute: 4 }), team('b', { compute: 4 })] });
    const account = new QuotaAccount(tree);
    const [first, second, third] = [4, 2, 3].map((units) => charge(tree.node('a'), tree.vector({ compute: units })));
    if (first === undefined || second === undefined || third === undefined) throw new Error('three were made');
    for (const one of [first, second, third]) account.start(one);
    expect([first, second, third].map((one) => account.isBorrowed(one))).toEqual([false, true, true]);
    account.end(first.id);
    expect([second, third].map((one) => account.isBorrowed(one))).toEqual([false, true]);
  });

  it('keeps its promises after every event on any tree, and every undo leaves it as it was', () => {
    fc.assert(
      fc.property(
        quotaTrees,
        fc.array(
          fc.record({
            what: fc.constantFrom('start', 'start', 'start', 'end', 'relabel', 'lower', 'undo'),
            pick: fc.nat(),
            amount: ask,
          }),
          { maxLength: 60 },
        ),
        (tree, events) => {
          const account = new QuotaAccount(tree);
          const trail: { undo: () => void; before: unknown }[] = [];
          const leaves = tree.leaves();
          const act = (step: () => () => void): void => {
            const before = snapshot(account);
            trail.push({ undo: step(), before });
          };
          for (const { what, pick, amount } of events) {
            const leaf = leaves[pick % leaves.length];
            const running = [...account.all()];
            const one = running[pick % Math.max(1, running.length)];
            if (what === 'start' && leaf !== undefined && tree.admit(leaf, tree.vector(amount)).kind !== 'refused')
              act(() => account.start(charge(leaf, tree.vector(amount)), { borrow: pick % 5 === 0 }));
            if (what === 'end' && one !== undefined) act(() => account.end(one.id, { promote: pick % 3 > 0 }));
            if (what === 'relabel') act(() => account.relabel());
            if (what === 'lower' && leaf !== undefined)
              act(() => {
                const undoQuota = tree.setQuota(leaf.name, { guaranteed: { compute: 1 }, limit: {} });
                const undoLabels = account.relabel();
                return () => {
                  undoLabels();
                  undoQuota();
                };
              });
            if (what === 'undo') {
              const last = trail.pop();
              last?.undo();
              if (last !== undefined) expect(snapshot(account)).toEqual(last.before);
            }
            check(account);
          }
          for (const last of trail.reverse()) {
            last.undo();
            expect(snapshot(account)).toEqual(last.before);
          }
        },
      ),
      { numRuns: 150 },
    );
  });
});
