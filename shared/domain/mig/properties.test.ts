// Layouts of every catalogued device against a second opinion written another way.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addUnits, noUnits, profileUnits, wholeUnits } from '../units.ts';
import { arrange, bestStart, freeStarts, openness } from './arrange.ts';
import { catalogModels } from './catalog.ts';
import { findProfile, gridOf, type MigGrid } from './grid.ts';
import { describeViolation, formatLayout, inOrder, isLegal, sameLayout, violationsOf } from './layout.ts';
import { claimsMediaEngines, computeSlicesOf, type Profile, type ProfileName, parseProfileName } from './profile.ts';
import { formatLayoutRequest, parseLayoutRequest } from './request.ts';
import { formatSlice, overlaps, parseSlice, sameSlice, type WantedSlice } from './slice.ts';

const grids = catalogModels.map((model) => model.grid);

/** A grid, and slices on it that need not be legal, not even known to it. */
const anySlices = fc.constantFrom(...grids).chain((grid) =>
  fc.tuple(
    fc.constant(grid),
    fc.array(
      fc.oneof(
        { weight: 9, arbitrary: place(grid) },
        {
          weight: 1,
          arbitrary: fc.record({
            profile: fc.constantFrom(...grids.flatMap((other) => other.profiles.map((profile) => profile.name))),
            start: fc.integer({ min: -1, max: 14 }),
          }),
        },
      ),
      { maxLength: 8 },
    ),
  ),
);

/** A grid, slices that are legal on it, and profiles wished for besides. */
const legalAndWishes = fc.constantFrom(...grids).chain((grid) =>
  fc.tuple(
    fc.constant(grid),
    fc
      .array(place(grid), { maxLength: 6 })
      .map((places) => places.reduce<readonly WantedSlice[]>((kept, one) => (isLegal(grid, [...kept, one]) ? [...kept, one] : kept), [])),
    fc.array(fc.constantFrom(...grid.profiles.map((profile) => profile.name)), { maxLength: 6 }),
  ),
);

function place(grid: MigGrid): fc.Arbitrary<WantedSlice> {
  return fc.constantFrom(...grid.profiles.flatMap((profile) => profile.starts.map((start) => ({ profile: profile.name, start }))));
}

function required(grid: MigGrid, name: ProfileName): Profile {
  const profile = findProfile(grid, name);
  if (profile === undefined) throw new Error(name);
  return profile;
}

/** The units a slice takes, one bit each. */
function bits(profile: Profile, start: number): number {
  return ((1 << profile.size) - 1) << start;
}

/** The rules again, by bitmap. */
function fits(grid: MigGrid, slices: readonly WantedSlice[]): boolean {
  let taken = 0;
  let compute = 0;
  let media = 0;
  const counts = new Map<ProfileName, number>();
  for (const slice of slices) {
    const profile = findProfile(grid, slice.profile);
    if (profile === undefined || !profile.starts.includes(slice.start)) return false;
    const own = bits(profile, slice.start);
    if ((taken & own) !== 0) return false;
    taken |= own;
    compute += profile.computeSlices;
    if (claimsMediaEngines(slice.profile)) media += 1;
    counts.set(slice.profile, (counts.get(slice.profile) ?? 0) + 1);
    if ((counts.get(slice.profile) ?? 0) > profile.instancesMax) return false;
  }
  return compute <= grid.computeSlices && media <= 1;
}

/** Tries every start for every wish in the order given. */
function satisfiable(grid: MigGrid, kept: readonly WantedSlice[], wanted: readonly ProfileName[]): boolean {
  const [first, ...rest] = wanted;
  if (first === undefined) return fits(grid, kept);
  return required(grid, first).starts.some((start) => {
    const more = [...kept, { profile: first, start }];
    return fits(grid, more) && satisfiable(grid, more, rest);
  });
}

describe('violationsOf', () => {
  it('finds something exactly when the bitmap does', () => {
    fc.assert(
      fc.property(anySlices, ([grid, slices]) => {
        expect(isLegal(grid, slices)).toBe(fits(grid, slices));
      }),
      { numRuns: 3_000 },
    );
  });

  it('has a sentence for each finding, and none for the empty layout', () => {
    fc.assert(
      fc.property(anySlices, ([grid, slices]) => {
        expect(violationsOf(grid, [])).toEqual([]);
        for (const violation of violationsOf(grid, slices)) expect(describeViolation(violation)).toMatch(/^\S.*\S$/);
      }),
    );
  });

  it('does not depend on the order of slices', () => {
    fc.assert(
      fc.property(anySlices, ([grid, slices]) => {
        expect(isLegal(grid, slices.toReversed())).toBe(isLegal(grid, slices));
      }),
    );
  });

  it('allows every part of what it allows', () => {
    fc.assert(
      fc.property(legalAndWishes, fc.nat(), ([grid, kept], at) => {
        expect(isLegal(grid, kept.toSpliced(at % Math.max(kept.length, 1), 1))).toBe(true);
      }),
    );
  });
});

describe('arrange', () => {
  it('finds places exactly when trying everything does', () => {
    fc.assert(
      fc.property(legalAndWishes, ([grid, kept, wanted]) => {
        expect(arrange(grid, kept, wanted) !== undefined).toBe(satisfiable(grid, kept, wanted));
      }),
      { numRuns: 1_500 },
    );
  });

  it('keeps what is there, adds what was asked and nothing else', () => {
    fc.assert(
      fc.property(legalAndWishes, ([grid, kept, wanted]) => {
        const found = arrange(grid, kept, wanted);
        if (found === undefined) return;

        expect(fits(grid, found)).toBe(true);
        for (const slice of kept) expect(found.some((own) => sameSlice(own, slice))).toBe(true);
        const added = found.filter((own) => !kept.some((slice) => sameSlice(own, slice)));
        expect(added.map((own) => own.profile).sort()).toEqual(wanted.toSorted());
      }),
      { numRuns: 1_500 },
    );
  });

  it('answers the same for any order of what was asked and of what is there', () => {
    fc.assert(
      fc.property(legalAndWishes, fc.infiniteStream(fc.nat()), ([grid, kept, wanted], chance) => {
        const shuffled = <T>(items: readonly T[]): readonly T[] =>
          items
            .map((item) => ({ item, key: chance.next().value }))
            .sort((a, b) => a.key - b.key)
            .map(({ item }) => item);

        const one = arrange(grid, kept, wanted);
        const two = arrange(grid, shuffled(kept), shuffled(wanted));

        expect(two && formatLayout({ kind: 'mig', slices: two })).toBe(one && formatLayout({ kind: 'mig', slices: one }));
      }),
      { numRuns: 1_000 },
    );
  });

  it('refuses to build on slices that overlap', () => {
    fc.assert(
      fc.property(anySlices, ([grid, slices]) => {
        if (!fits(grid, slices)) expect(arrange(grid, slices, [])).toBeUndefined();
      }),
    );
  });

  it('fills a device with its smallest profile', () => {
    for (const grid of grids) {
      const smallest = grid.profiles
        .filter((profile) => profile.computeSlices === 1 && /^\d+g\.\d+gb$/.test(profile.name))
        .toSorted((a, b) => a.size - b.size)[0];
      if (smallest === undefined) throw new Error('no smallest profile');
      expect(
        arrange(
          grid,
          [],
          Array.from({ length: smallest.instancesMax }, () => smallest.name),
        ),
      ).toHaveLength(smallest.instancesMax);
      expect(
        arrange(
          grid,
          [],
          Array.from({ length: smallest.instancesMax + 1 }, () => smallest.name),
        ),
      ).toBeUndefined();
    }
  });
});

describe('bestStart', () => {
  it('is a free start, the one that leaves most open, or none when none is free', () => {
    fc.assert(
      fc.property(legalAndWishes, ([grid, kept]) => {
        for (const profile of grid.profiles) {
          const free = freeStarts(grid, kept, profile);
          expect(free).toEqual(profile.starts.filter((start) => fits(grid, [...kept, { profile: profile.name, start }])));
          const best = bestStart(grid, kept, profile);
          if (best === undefined) {
            expect(free).toEqual([]);
            continue;
          }
          expect(free).toContain(best);
          const left = (start: number): number => openness(grid, [...kept, { profile: profile.name, start }]);
          expect(left(best)).toBe(Math.max(...free.map(left)));
        }
      }),
      { numRuns: 150 },
    );
  });

  it('leaves room for the largest profile beside it, if any start does', () => {
    for (const grid of grids) {
      for (const profile of grid.profiles) {
        const best = bestStart(grid, [], profile);
        if (best === undefined) throw new Error(profile.name);
        const beside = (start: number): number =>
          Math.max(
            0,
            ...grid.profiles
              .filter((other) => freeStarts(grid, [{ profile: profile.name, start }], other).length > 0)
              .map((other) => other.computeSlices),
          );
        expect(beside(best), profile.name).toBe(Math.max(...profile.starts.map(beside)));
      }
    }
  });
});

describe('units', () => {
  it('of a legal layout add up to the device at most, and of the largest profile to all of it', () => {
    fc.assert(
      fc.property(legalAndWishes, ([grid, kept]) => {
        const sum = kept.reduce(
          (total, slice) => addUnits(total, profileUnits(grid, slice.profile) ?? { compute: NaN, memory: NaN }),
          noUnits,
        );
        expect(sum.compute).toBeLessThanOrEqual(wholeUnits(grid).compute);
        expect(sum.memory).toBeLessThanOrEqual(wholeUnits(grid).memory);
      }),
    );
    for (const grid of grids) {
      const largest = grid.profiles.toSorted((a, b) => b.size - a.size || b.computeSlices - a.computeSlices)[0];
      expect(largest && profileUnits(grid, largest.name)).toEqual(wholeUnits(grid));
    }
    expect(wholeUnits(undefined)).toEqual({ compute: 1, memory: 1 });
  });

  it('agree with the grid read from the same profiles', () => {
    for (const grid of grids) expect(gridOf(grid.profiles)).toEqual(grid);
    expect(gridOf([])).toBeUndefined();
  });
});

describe('writing and reading', () => {
  it('brings slices back', () => {
    fc.assert(
      fc.property(anySlices, ([, slices]) => {
        for (const slice of slices) if (slice.start >= 0) expect(parseSlice(formatSlice(slice))).toEqual(slice);
      }),
    );
  });

  it('brings a layout back as a request, whatever the order', () => {
    fc.assert(
      fc.property(legalAndWishes, ([, kept]) => {
        const text = formatLayout({ kind: 'mig', slices: kept });
        const read = parseLayoutRequest(text);

        expect(read).toEqual({ kind: 'request', request: { kind: 'mig', fixed: inOrder(kept), anywhere: [] } });
        expect(sameLayout({ kind: 'mig', slices: kept.toReversed() }, { kind: 'mig', slices: kept })).toBe(true);
      }),
    );
  });

  it('reads counts', () => {
    fc.assert(
      fc.property(legalAndWishes, fc.integer({ min: 1, max: 64 }), ([, , wanted], count) => {
        const [first] = wanted;
        if (first === undefined) return;
        expect(parseLayoutRequest(`${first}*${count}`)).toEqual({
          kind: 'request',
          request: { kind: 'mig', fixed: [], anywhere: Array.from({ length: count }, () => first) },
        });
        expect(parseLayoutRequest(`${first}*${count + 64}`).kind).toBe('unreadable');
      }),
    );
  });

  it('brings a request back', () => {
    fc.assert(
      fc.property(legalAndWishes, ([, fixed, wanted]) => {
        const request = { kind: 'mig', fixed: inOrder(fixed), anywhere: wanted.toSorted() } as const;
        const read = parseLayoutRequest(formatLayoutRequest(request));
        if (read.kind === 'unreadable' || read.request.kind === 'whole') throw new Error(formatLayoutRequest(request));
        expect({ ...read.request, anywhere: read.request.anywhere.toSorted() }).toEqual(request);
      }),
    );
    expect(formatLayoutRequest({ kind: 'whole' })).toBe('whole');
    expect(formatLayoutRequest({ kind: 'mig', fixed: [], anywhere: [] })).toBe('mig');
  });
  it('never throws, and never takes nonsense for a request', () => {
    const nearly = fc
      .array(fc.constantFrom('3g.40gb', '1g.10gb+me', '@', '*', ',', '0', '4', '99', ' ', 'mig', 'whole', 'g.gb', '-', '1e9', '\n'), {
        maxLength: 8,
      })
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), nearly), (text) => {
        const read = parseLayoutRequest(text);
        if (read.kind === 'unreadable' || read.request.kind === 'whole') return;
        for (const name of [...read.request.anywhere, ...read.request.fixed.map((slice) => slice.profile)])
          expect(parseProfileName(name)).toBe(name);
      }),
      { numRuns: 3_000 },
    );
  });

  it('names profiles that have compute slices', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.constantFrom(...grids.flatMap((grid) => grid.profiles.map((profile) => profile.name as string))),
          fc.stringMatching(/^\d{1,3}g\.\d{1,4}gb(\+me|-me)?$/),
        ),
        (text) => {
          const name = parseProfileName(text);
          if (name !== undefined) expect(computeSlicesOf(name)).toBe(Number(/^\d+/.exec(text)?.[0]));
        },
      ),
    );
  });
});

describe('overlaps', () => {
  it('is the same seen from either side, and is what the bitmaps share', () => {
    const span = fc.record({ start: fc.nat({ max: 12 }), size: fc.integer({ min: 1, max: 12 }) });
    fc.assert(
      fc.property(span, span, (a, b) => {
        const shared = Array.from({ length: 24 }, (_, unit) => unit).some((unit) =>
          [a, b].every((own) => own.start <= unit && unit < own.start + own.size),
        );
        expect(overlaps(a, b)).toBe(shared);
        expect(overlaps(b, a)).toBe(shared);
      }),
    );
  });
});
