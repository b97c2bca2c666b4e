import type { WorkspaceName } from '@astrago/shared/domain/ids';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { QuotaAmounts, WorkspaceRecord } from '../cluster/records.ts';
import type { Charge } from './charge.ts';
import { QuotaTree } from './quota-tree.ts';

const named = (name: string): WorkspaceName => name as WorkspaceName;
const unlimited: QuotaAmounts = { compute: undefined, memory: undefined };

function workspace(name: string, more: Partial<Omit<WorkspaceRecord, 'name'>> = {}): WorkspaceRecord {
  return { name: named(name), limit: unlimited, ...more };
}

function tree(records: readonly WorkspaceRecord[], capacity: Partial<Record<string, number>>): QuotaTree {
  return new QuotaTree(new Map(records.map((record) => [record.name, record])), ({ resource }) => capacity[resource] ?? 0);
}

const slices = (count: number): QuotaAmounts => ({ compute: count, memory: undefined });

describe('a workspace', () => {
  const quotas = (): QuotaTree =>
    tree(
      [
        workspace('dept', { guaranteed: slices(10), limit: slices(14) }),
        workspace('a', { parent: named('dept'), guaranteed: slices(4) }),
        workspace('b', { parent: named('dept') }),
        workspace('c'),
      ],
      {
        compute: 20_000,
      },
    );

  it('has its guarantee for its own, and borrows beyond it', () => {
    const t = quotas();
    expect(t.judge(named('a'), [4000]).kind).toBe('guaranteed');
    expect(t.judge(named('a'), [4001]).kind).toBe('borrowing');
    t.count(named('a'), [3000], false, 1);
    expect(t.judge(named('a'), [2000]).kind).toBe('borrowing');
  });

  it('without a guarantee shares what is left of that of the one above it', () => {
    const t = quotas();
    expect(t.judge(named('b'), [6000]).kind).toBe('guaranteed');
    expect(t.judge(named('b'), [6001]).kind).toBe('borrowing');
    expect(t.judge(named('c'), [10_000]).kind).toBe('guaranteed');
    expect(t.judge(named('c'), [10_001]).kind).toBe('borrowing');
  });

  it('is bounded by its limit, and by those above it', () => {
    const t = quotas();
    t.count(named('b'), [12_000], true, 1);
    expect(t.judge(named('a'), [3000])).toMatchObject({ kind: 'above-limit', workspace: 'dept', limit: 14_000, used: 12_000, asked: 3000 });
    expect(t.judge(named('c'), [3000]).kind).toBe('guaranteed');
  });

  it('borrows nothing where nobody is guaranteed anything', () => {
    const t = tree([workspace('a'), workspace('b', { limit: slices(3) })], { compute: 4000 });
    expect(t.judge(named('a'), [9000]).kind).toBe('guaranteed');
    expect(t.judge(named('b'), [4000]).kind).toBe('above-limit');
  });
});

describe('whose turn it is', () => {
  it('shares as dominant resource fairness does: two thirds of what each needs most', () => {
    // Ghodsi et al., NSDI 2011: 9 CPUs and 18 GB; one asks for 1 CPU and 4 GB a task, the other for 3 and 1.
    const t = tree([workspace('a', { limit: { ...unlimited, cpuMilli: 9000, memoryMiB: 18_000 } }), workspace('b')], {
      cpuMilli: 9000,
      memoryMiB: 18_000,
    });
    const tasks: Record<string, Charge> = { a: [1000, 4000], b: [3000, 1000] };
    const placed = { a: 0, b: 0 };
    const left = [9000, 18_000];
    for (;;) {
      const fits = (name: string): boolean => (tasks[name] ?? []).every((amount, at) => amount <= (left[at] ?? 0));
      const next = t.next((name) => fits(name)) as 'a' | 'b' | undefined;
      if (next === undefined) break;
      t.count(named(next), tasks[next] ?? [], true, 1);
      tasks[next]?.forEach((amount, at) => {
        left[at] = (left[at] ?? 0) - amount;
      });
      placed[next] += 1;
    }
    expect(placed).toEqual({ a: 3, b: 2 });
  });

  it('is first that of who lacks most of what is guaranteed', () => {
    const t = tree([workspace('a', { guaranteed: slices(8) }), workspace('b', { guaranteed: slices(4) }), workspace('c')], {
      compute: 16_000,
    });
    t.count(named('a'), [4000], false, 1);
    t.count(named('b'), [1000], false, 1);
    expect(t.next(() => true)).toBe('b');
    t.count(named('b'), [2000], false, 1);
    expect(t.next(() => true)).toBe('a');
    t.count(named('a'), [4000], false, 1);
    t.count(named('b'), [1000], false, 1);
    expect(t.next(() => true)).toBe('a');
    t.count(named('a'), [1000], true, 1);
    expect(t.next((name) => name !== named('b'))).toBe('c');
  });

  it('is twice as often that of who has twice the weight', () => {
    const t = tree([workspace('a', { weight: 2, limit: slices(100) }), workspace('b')], { compute: 100_000 });
    const turns = { a: 0, b: 0 };
    for (let round = 0; round < 30; round += 1) {
      const next = t.next(() => true) as 'a' | 'b';
      turns[next] += 1;
      t.count(named(next), [1000], true, 1);
    }
    expect(turns).toEqual({ a: 20, b: 10 });
  });
});

/** A tree whose guarantees add up, and what happens in it. */
const worlds = fc
  .array(fc.record({ above: fc.nat(), part: fc.nat(8), hasGuarantee: fc.boolean() }), { minLength: 1, maxLength: 7 })
  .map((rows) => {
    const capacity = 32_000;
    const left = new Map<string, number>([['', capacity / 1000]]);
    const records: WorkspaceRecord[] = [];
    for (const [at, { above, part, hasGuarantee }] of rows.entries()) {
      const parents = ['', ...records.map(({ name }) => name as string)];
      const parent = parents[above % parents.length] ?? '';
      const available = left.get(parent);
      const guarantee = hasGuarantee && available !== undefined ? Math.min(part, available) : undefined;
      if (guarantee !== undefined && available !== undefined) left.set(parent, available - guarantee);
      const name = `w${at}`;
      if (guarantee !== undefined) left.set(name, guarantee);
      records.push(
        workspace(name, {
          ...(parent === '' ? {} : { parent: named(parent) }),
          ...(guarantee === undefined ? {} : { guaranteed: slices(guarantee) }),
        }),
      );
    }
    return { capacity, records };
  });

describe('over any tree and any course of events', () => {
  it('what is not borrowed stays within the guarantees, and stopping what is borrowed makes room for what is within one', () => {
    const events = fc.array(fc.record({ who: fc.nat(), amount: fc.integer({ min: 1, max: 9 }), ends: fc.boolean() }), { maxLength: 60 });
    fc.assert(
      fc.property(worlds, events, ({ capacity, records }, happenings) => {
        const t = tree(records, { compute: capacity });
        if (!t.hasGuarantees) return;
        const running: { readonly who: WorkspaceName; readonly charge: Charge; readonly borrowed: boolean }[] = [];
        const sum = (borrowed: boolean): number =>
          running.filter((one) => one.borrowed === borrowed).reduce((total, { charge }) => total + (charge[0] ?? 0), 0);
        for (const { who, amount, ends } of happenings) {
          if (ends && running.length > 0) {
            const [gone] = running.splice(who % running.length, 1);
            if (gone !== undefined) t.count(gone.who, gone.charge, gone.borrowed, -1);
          } else {
            const record = records[who % records.length];
            if (record === undefined) continue;
            const charge = [amount * 1000];
            const verdict = t.judge(record.name, charge);
            if (verdict.kind === 'above-limit') continue;
            const isOwn = verdict.kind === 'guaranteed';
            // With all that is borrowed stopped there is room for it: the guarantee is one.
            if (isOwn) expect(sum(false) + amount * 1000).toBeLessThanOrEqual(capacity);
            if (sum(true) + sum(false) + amount * 1000 > capacity) continue;
            t.count(record.name, charge, !isOwn, 1);
            running.push({ who: record.name, charge, borrowed: !isOwn });
          }
          expect(t.isOverGuarantee()).toBe(false);
        }
        // Each guarantee can be had in full by whoever has it, whatever the others borrow.
        for (const { name, guaranteed } of records) {
          const own = running
            .filter((one) => !one.borrowed && t.path(one.who).includes(name))
            .reduce((total, { charge }) => total + (charge[0] ?? 0), 0);
          const rest = (guaranteed?.compute ?? 0) * 1000 - own;
          const isLeaf = records.every(({ parent }) => parent !== name);
          if (isLeaf && rest > 0) expect(t.judge(name, [rest]).kind).toBe('guaranteed');
        }
        for (const { who, charge, borrowed } of running) t.count(who, charge, borrowed, -1);
        for (const { name } of records) expect(t.used(name)).toEqual([0]);
      }),
      { numRuns: 300 },
    );
  });
});
