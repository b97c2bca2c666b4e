import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Vector } from './amounts.ts';
import type { QuotaSpec } from './quota-spec.ts';
import { type QuotaNode, QuotaTree } from './quota-tree.ts';

const quota = (name: string, guaranteed: QuotaSpec['guaranteed'] = {}, parent?: string): QuotaSpec => ({
  name,
  parent,
  guaranteed,
  limit: {},
});

describe('who is named no guarantee', () => {
  const quotas = (): QuotaTree =>
    new QuotaTree({
      name: 'org',
      capacity: { compute: 20, cpu: 8 },
      specs: [quota('dept', { compute: 10 }), quota('a', { compute: 4, cpu: 2 }, 'dept'), quota('b', {}, 'dept'), quota('c')],
    });
  const kind = (tree: QuotaTree, name: string, amounts: QuotaSpec['guaranteed']): string =>
    tree.admit(tree.node(name), tree.vector(amounts)).kind;

  it('shares with its like what of the guarantee above nobody is named', () => {
    const tree = quotas();
    expect(kind(tree, 'a', { compute: 4 })).toBe('within-guarantee');
    expect(kind(tree, 'a', { compute: 4.001 })).toBe('borrowing');
    expect(kind(tree, 'b', { compute: 6 })).toBe('within-guarantee');
    expect(kind(tree, 'b', { compute: 6.001 })).toBe('borrowing');
    expect(kind(tree, 'c', { compute: 10 })).toBe('within-guarantee');
    expect(kind(tree, 'c', { compute: 10.001 })).toBe('borrowing');
    tree.charge(tree.node('c'), tree.vector({ compute: 10 }), false);
    expect(kind(tree, 'b', { compute: 6 })).toBe('within-guarantee');
  });

  it('does so on each axis by itself, through all above that name none either', () => {
    const tree = quotas();
    expect(kind(tree, 'b', { compute: 6, cpu: 6 })).toBe('within-guarantee');
    expect(kind(tree, 'b', { cpu: 6.001 })).toBe('borrowing');
    tree.charge(tree.node('c'), tree.vector({ cpu: 5 }), false);
    expect(kind(tree, 'b', { cpu: 1.001 })).toBe('borrowing');
    expect(kind(tree, 'a', { cpu: 2 })).toBe('within-guarantee');
  });

  it('has nothing left where the cluster became smaller than what was promised', () => {
    const tree = quotas();
    const undo = tree.setQuota('org', { guaranteed: { compute: 9, cpu: 8 }, limit: { compute: 9, cpu: 8 } });
    expect(kind(tree, 'c', { compute: 0.001 })).toBe('borrowing');
    expect(kind(tree, 'a', { compute: 4 })).toBe('within-guarantee');
    undo();
    expect(kind(tree, 'c', { compute: 10 })).toBe('within-guarantee');
  });

  it('is entitled to its part of the rest by weight', () => {
    const tree = new QuotaTree({
      name: 'org',
      capacity: { compute: 10 },
      specs: [quota('a', { compute: 4 }), { ...quota('b'), weight: 2 }, quota('c')],
    });
    expect(['a', 'b', 'c'].map((name) => tree.node(name).entitled[0])).toEqual([4000, 4000, 2000]);
  });
});

describe('where nobody is guaranteed anything', () => {
  it('nothing is promised, also by a guarantee of nothing', () => {
    const specs = [quota('a', { compute: 0 }), quota('b')];
    expect(new QuotaTree({ name: 'org', capacity: { compute: 4 }, specs }).hasPromises).toBe(false);
  });

  it('a class that is promised does not bound what its owner has of the others', () => {
    const tree = new QuotaTree({
      name: 'org',
      capacity: { compute: 14, 'compute/h100': 7 },
      specs: [quota('a', { 'compute/h100': 7 }), quota('b')],
    });
    expect(tree.admit(tree.node('a'), tree.vector({ compute: 14, 'compute/h100': 7 })).kind).toBe('within-guarantee');
    expect(tree.admit(tree.node('b'), tree.vector({ compute: 1, 'compute/h100': 1 })).kind).toBe('borrowing');
  });
});

const capacity = 32;

/** Up to eight quotas anywhere in a tree, of which the promises can be kept; some name none. */
const worlds = fc
  .array(fc.record({ above: fc.nat(), part: fc.nat(8), names: fc.boolean() }), { minLength: 1, maxLength: 8 })
  .map((rows) => {
    const specs: QuotaSpec[] = [];
    for (const [at, { above, part, names }] of rows.entries()) {
      const parent = [undefined, ...specs.map(({ name }) => name)][above % (specs.length + 1)];
      specs.push(quota(`w${at}`, names ? { compute: part } : {}, parent));
      const { length } = new QuotaTree({ name: 'org', capacity: { compute: capacity }, specs }).overcommitments();
      if (length > 0) specs.splice(-1, 1, quota(`w${at}`, {}, parent));
    }
    return new QuotaTree({ name: 'org', capacity: { compute: capacity }, specs });
  });

describe('over any tree and any course of events', () => {
  it('stopping what is borrowed makes room for what is within a guarantee, and each guarantee can be had in full', () => {
    const events = fc.array(fc.record({ who: fc.nat(), amount: fc.integer({ min: 1, max: 9 }), ends: fc.boolean() }), { maxLength: 60 });
    fc.assert(
      fc.property(worlds, events, (tree, happenings) => {
        const leaves = tree.leaves();
        const running: { readonly leaf: QuotaNode; readonly amount: Vector; readonly borrowed: boolean }[] = [];
        const kept = (): number => running.reduce((sum, { amount, borrowed }) => sum + (borrowed ? 0 : (amount[0] ?? 0)), 0);
        for (const { who, amount: units, ends } of happenings) {
          const leaf = leaves[who % leaves.length];
          if (ends && running.length > 0) {
            const [gone] = running.splice(who % running.length, 1);
            if (gone !== undefined) tree.release(gone.leaf, gone.amount, gone.borrowed);
          } else if (leaf !== undefined) {
            const amount = tree.vector({ compute: units });
            const within = tree.fitsGuarantee(leaf, amount);
            if (within) expect(kept() + (amount[0] ?? 0)).toBeLessThanOrEqual(1000 * capacity);
            if (tree.admit(leaf, amount).kind === 'refused') continue;
            tree.charge(leaf, amount, !within);
            running.push({ leaf, amount, borrowed: !within });
          }
          expect(tree.isOverGuarantee).toBe(false);
          for (const node of tree.leaves()) {
            const left = (node.guaranteed[0] ?? 0) - (node.nonBorrowed[0] ?? 0);
            if (Number.isFinite(left)) expect(tree.fitsGuarantee(node, Float64Array.of(left))).toBe(true);
          }
        }
        for (const { leaf, amount, borrowed } of running) tree.release(leaf, amount, borrowed);
        for (const { used, nonBorrowed, restUsed } of tree.nodes()) expect([...used, ...nonBorrowed, ...restUsed]).toEqual([0, 0, 0]);
      }),
      { numRuns: 300 },
    );
  });
});
