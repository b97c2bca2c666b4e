import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { QuotaTree } from './quota-tree.ts';
import { dominant } from './shares.ts';
import { Siblings, type Standing } from './siblings.ts';

const standing: fc.Arbitrary<Standing> = fc.record({
  turn: fc.constantFrom('guaranteed', 'surplus', 'none'),
  key: fc.nat(5),
  shares: fc.tuple(fc.nat(4), fc.nat(4)).map((shares) => Float64Array.from(shares, (share) => share / 4)),
  asksInVain: fc.boolean(),
});

describe('what is known of siblings', () => {
  it('is what looking at all of them gives, after any changes', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.array(fc.record({ child: fc.nat(), becomes: standing }), { minLength: 9, maxLength: 30 }),
        (count, changes) => {
          const specs = Array.from({ length: count }, (_, at) => ({ name: `w${at}`, guaranteed: {}, limit: {}, weight: 1 + (at % 3) }));
          const { root } = new QuotaTree({ name: 'org', capacity: { compute: 8, cpu: 8 }, specs });
          const standings = new Map(root.children.map((child, at) => [child, changes[at]?.becomes]));
          const of = (child: (typeof root.children)[number]): Standing => {
            const known = standings.get(child);
            if (known === undefined) throw new Error('every child stands somewhere');
            return known;
          };
          const isBefore = (a: (typeof root.children)[number], b: (typeof root.children)[number]): boolean =>
            of(a).key === of(b).key ? a.name < b.name : of(a).key < of(b).key;
          const siblings = new Siblings(root.children, of, isBefore);
          for (const { child: at, becomes } of changes) {
            const child = root.children[at % count];
            if (child === undefined) return;
            standings.set(child, becomes);
            siblings.set(child, becomes);
            const served = root.children.filter((each) => of(each).turn !== 'none');
            expect(siblings.first).toBe(served.toSorted((a, b) => (isBefore(a, b) ? -1 : 1))[0]);
            expect(siblings.asksInVain).toBe(root.children.some((each) => of(each).asksInVain));
            const least = Math.min(...served.map((each) => dominant(of(each).shares, each)));
            const scaled = root.children.map((each): readonly number[] => {
              const { turn, shares, asksInVain } = of(each);
              const own = dominant(shares, each);
              const scale = turn === 'none' ? Number(!asksInVain) : own === 0 ? 0 : least / own;
              return [...shares].map((share) => scale * share);
            });
            for (const [axis, share] of siblings.shares().entries())
              expect(share).toBeCloseTo(
                scaled.reduce((sum, shares) => sum + (shares[axis] ?? 0), 0),
                9,
              );
          }
        },
      ),
    );
  });
});
