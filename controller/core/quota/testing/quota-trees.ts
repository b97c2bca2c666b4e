// Trees of quotas for tests of what is built on them.
import fc from 'fast-check';
import type { Amounts } from '../amounts.ts';
import type { QuotaSpec } from '../quota-spec.ts';
import { QuotaTree } from '../quota-tree.ts';

/** Up to three departments of up to three teams each, of which the promises can be kept; some name no promise. */
export const quotaTrees: fc.Arbitrary<QuotaTree> = fc
  .array(
    fc.record({
      weight: fc.constantFrom(1, 2, 0.5),
      teams: fc.array(
        fc.record({ units: fc.option(fc.nat(8), { nil: undefined }), cpu: fc.nat(4), room: fc.nat(12), weight: fc.constantFrom(1, 3) }),
        { maxLength: 3 },
      ),
    }),
    { minLength: 1, maxLength: 3 },
  )
  .map((departments) => {
    const specs: QuotaSpec[] = departments.flatMap(({ teams, weight }, at) => [
      { name: `d${at}`, guaranteed: teams.length === 0 ? { compute: 2, cpu: 1 } : {}, limit: {}, weight },
      ...teams.map(({ units, cpu, room, weight: own }, of) => ({
        name: `d${at}-t${of}`,
        parent: `d${at}`,
        guaranteed: units === undefined ? { cpu } : { compute: units, cpu },
        limit: { compute: (units ?? 4) + room + 1 },
        weight: own,
      })),
    ]);
    const sum = (of: 'compute' | 'cpu'): number => specs.reduce((all, { guaranteed }) => all + (guaranteed[of] ?? 0), 0);
    return new QuotaTree({ name: 'org', capacity: { compute: sum('compute') + 3, cpu: sum('cpu') + 2 }, specs });
  });

export const ask: fc.Arbitrary<Amounts> = fc.record({ compute: fc.constantFrom(0.3, 1, 2, 3, 7), cpu: fc.nat(2) });
