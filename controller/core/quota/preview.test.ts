import { describe, expect, it } from 'vitest';
import { advanceUse, checkBudget } from './budget.ts';
import { previewQuota } from './preview.ts';
import { QuotaAccount } from './quota-account.ts';
import { QuotaTree } from './quota-tree.ts';

describe('a preview', () => {
  it('says what would be borrowed, exceed and be let in, and changes nothing', () => {
    const specs = ['a', 'b'].map((name) => ({ name, guaranteed: { compute: 4 }, limit: { compute: 4 } }));
    const tree = new QuotaTree({ name: 'org', capacity: { compute: 8 }, specs });
    const account = new QuotaAccount(tree);
    const [a, one, two] = [tree.node('a'), tree.vector({ compute: 1 }), tree.vector({ compute: 2 })];
    for (const sequence of [0, 1]) account.start({ id: `w${sequence}`, leaf: a, amount: two, priority: 0, startedAtMs: 0, sequence });
    const waiting = [{ id: 'q', leaf: a, amount: one }];
    const none = { becomesBorrowed: [], becomesKept: [], exceeding: [], admitted: [] };
    expect(previewQuota(account, 'a', { guaranteed: { compute: 4 }, limit: { compute: 4 } }, waiting)).toEqual(none);
    expect(previewQuota(account, 'a', { guaranteed: { compute: 3 }, limit: { compute: 3 } }, waiting)).toEqual({
      ...none,
      becomesBorrowed: ['w1'],
      exceeding: ['a'],
    });
    expect(previewQuota(account, 'a', { guaranteed: { compute: 4 }, limit: { compute: 5 } }, waiting)).toEqual({
      ...none,
      admitted: ['q'],
    });
    expect(a.used[0]).toBe(4000);
    expect([...account.all()].some((charge) => account.isBorrowed(charge))).toBe(false);
  });
});

describe('a budget', () => {
  it('counts what is held over time, in each period anew, and refuses once the hard bound is used up', () => {
    const budget = { periodStartMs: 0, periodMs: 100, soft: 50, hard: 120 };
    let use = advanceUse(budget, { atMs: 0, units: 0, used: 0 }, 10, 2);
    use = advanceUse(budget, use, 30);
    expect([use.used, checkBudget(budget, use)]).toEqual([40, { kind: 'within' }]);
    use = advanceUse(budget, use, 40);
    expect(checkBudget(budget, use)).toEqual({ kind: 'over-soft' });
    use = advanceUse(budget, use, 70);
    expect(checkBudget(budget, use)).toEqual({ kind: 'refused', untilMs: 100 });
    use = advanceUse(budget, use, 110);
    expect([use.used, checkBudget(budget, use)]).toEqual([20, { kind: 'within' }]);
  });
});
