import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Charge, QuotaAccount } from './quota-account.ts';
import type { QuotaNode } from './quota-tree.ts';
import { QuotaTree } from './quota-tree.ts';
import { reclaim } from './reclaim.ts';
import { ask, quotaTrees } from './testing/quota-trees.ts';

const rules = { nowMs: 1000, protectionMs: 0, fitsAfter: () => true };
const charge = (sequence: number, leaf: QuotaNode, amount: Float64Array, priority = 0): Charge => ({
  id: `w${sequence}`,
  leaf,
  amount,
  priority,
  startedAtMs: sequence,
  sequence,
});

describe('taking back what is lent', () => {
  it('always makes room for what is within a guarantee, evicts no more than that needs, and nothing that is kept', () => {
    let reclaimed = 0;
    fc.assert(
      fc.property(quotaTrees, fc.array(fc.record({ pick: fc.nat(), amount: ask }), { minLength: 5, maxLength: 40 }), (tree, asks) => {
        const account = new QuotaAccount(tree);
        const leaves = tree.leaves();
        for (const [at, { pick, amount }] of asks.entries()) {
          const leaf = leaves[pick % leaves.length];
          if (leaf === undefined) return;
          const one = charge(at, leaf, tree.vector(amount));
          const admission = tree.admit(leaf, one.amount);
          if (admission.kind !== 'refused') {
            account.start(one, { borrow: pick % 3 === 0 });
            continue;
          }
          const before = [...tree.nodes()].map(({ used, nonBorrowed }) => [...used, ...nonBorrowed]);
          const answer = reclaim(account, { leaf, amount: one.amount, priority: 0 }, rules);
          expect([...tree.nodes()].map(({ used, nonBorrowed }) => [...used, ...nonBorrowed])).toEqual(before);
          expect(answer.kind).toBe(admission.withinGuarantee ? 'evict' : 'refused');
          if (answer.kind === 'refused') continue;
          reclaimed += 1;
          expect(answer.victims.every((victim) => account.isBorrowed(victim))).toBe(true);
          for (const spared of answer.victims) {
            const undos = answer.victims.filter((victim) => victim !== spared).map(({ id }) => account.end(id, { promote: false }));
            expect(tree.admit(leaf, one.amount).kind).toBe('refused');
            for (const undo of undos.reverse()) undo();
          }
          for (const { id } of answer.victims) account.end(id, { promote: false });
          expect(tree.admit(leaf, one.amount).kind).toBe('within-guarantee');
          account.start(one);
        }
      }),
      { numRuns: 200 },
    );
    expect(reclaimed).toBeGreaterThan(50);
  });

  const organisation = (): QuotaTree =>
    new QuotaTree({
      name: 'org',
      capacity: { compute: 10 },
      specs: [
        { name: 'a', guaranteed: { compute: 4 }, limit: {} },
        { name: 'b', guaranteed: { compute: 2 }, limit: {} },
        { name: 'c', guaranteed: { compute: 4 }, limit: {} },
      ],
    });

  it('takes from whoever is furthest beyond its guarantee, low priority first, then the last started; never the protected', () => {
    const tree = organisation();
    const [a, b, c] = [tree.node('a'), tree.node('b'), tree.node('c')];
    const one = tree.vector({ compute: 1 });
    const account = new QuotaAccount(tree);
    for (let at = 0; at < 5; at += 1) account.start(charge(at, a, one));
    for (let at = 5; at < 10; at += 1) account.start(charge(at, b, one, at === 8 ? -1 : 0));
    const claim = { leaf: c, amount: tree.vector({ compute: 2 }), priority: 0 };
    const ids = (more: object): unknown => {
      const answer = reclaim(account, claim, { ...rules, ...more });
      return answer.kind === 'evict' ? answer.victims.map(({ id }) => id) : answer.reason;
    };
    expect(ids({})).toEqual(['w8', 'w9']);
    expect(ids({ spares: ({ id }: Charge) => id === 'w9' })).toEqual(['w8', 'w7']);
    expect(ids({ protectionMs: 1000 - 7 })).toEqual(['w7', 'w4']);
    expect(ids({ protectionMs: 1000 - 3 })).toBe('nothing-to-take-back');
    expect(ids({ fitsAfter: () => false })).toBe('no-place-after');
  });
});
