import type { EnforcementMode, EnforcementPolicy } from '@astrago/shared/domain/enforcement';
import { type GpuUuid, parseGpuUuid } from '@astrago/shared/domain/ids';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Deed, decide, done, type HoldReason, type Watch } from './enforce.ts';
import { type Finding, type FindingKind, keyOf } from './finding.ts';

function uuid(number: number): GpuUuid {
  const parsed = parseGpuUuid(`GPU-00000000-0000-0000-0000-00000000000${number}`);
  if (parsed === undefined) throw new Error('the test is wrong');
  return parsed;
}

function finding(pid = 7, startTime = '70', kind: FindingKind = 'foreign-process', gpu = 0): Finding {
  return { kind, gpu: uuid(gpu), pid, startTime, name: 'python', allocation: undefined, mpsClient: false, detail: '', measured: undefined };
}

function policy(mode: EnforcementMode, graceSeconds = 10): EnforcementPolicy {
  return { foreignProcess: mode, outsideAllocation: mode, memoryOverShare: mode, graceSeconds };
}

/** Plays listings one after the other; every due deed is done at once. */
function player() {
  let watch: Watch = new Map();
  return (
    atSeconds: number,
    findings: readonly Finding[],
    under: EnforcementPolicy | undefined,
    reason?: HoldReason,
  ): readonly string[] => {
    const decided = decide(watch, findings, under, { nowMs: atSeconds * 1000, forbidden: () => reason });
    watch = decided.due.reduce((next, deed) => done(next, deed, atSeconds * 1000), decided.watch);
    return decided.due.map((deed) => (deed.kind === 'held-back' ? `held-back ${deed.reason}` : deed.kind));
  };
}

describe('a finding', () => {
  it('is nothing but a finding without a policy, and to a policy that observes', () => {
    const play = player();
    for (const at of [0, 10, 1000]) expect(play(at, [finding()], at > 10 ? policy('observe') : undefined)).toEqual([]);
  });

  it('is notified of once', () => {
    const play = player();
    expect([0, 1, 2].map((at) => play(at, [finding()], policy('notify')))).toEqual([['notified'], [], []]);
  });

  it('that lasts is ended after the grace, and killed after another', () => {
    const play = player();
    const seen = [0, 5, 9, 10, 15, 19, 20, 30].map((at) => play(at, [finding()], policy('terminate')));
    expect(seen).toEqual([[], [], [], ['terminated'], [], [], ['killed'], []]);
  });

  it('without grace is ended at its second listing: the first may name a number that was just given out again', () => {
    const play = player();
    expect([0, 0, 0].map((at) => play(at, [finding()], policy('terminate', 0)))).toEqual([[], ['terminated'], ['killed']]);
  });

  it('that was gone for one listing begins anew, and so does another process with its number', () => {
    const play = player();
    play(0, [finding()], policy('terminate'));
    play(9, [], policy('terminate'));
    expect(play(10, [finding()], policy('terminate'))).toEqual([]);
    expect(play(20, [finding(7, '99')], policy('terminate'))).toEqual([]);
    expect(play(29, [finding(7, '99')], policy('terminate'))).toEqual([]);
    expect(play(30, [finding(7, '99')], policy('terminate'))).toEqual(['terminated']);
  });

  it('that stops after being told is not killed', () => {
    const play = player();
    play(0, [finding()], policy('terminate'));
    expect(play(10, [finding()], policy('terminate'))).toEqual(['terminated']);
    play(15, [], policy('terminate'));
    expect(play(20, [finding()], policy('terminate'))).toEqual([]);
  });

  it('is not ended for the time it had under a milder policy, and not killed under a milder one', () => {
    const play = player();
    play(0, [finding()], policy('observe'));
    expect(play(100, [finding()], policy('terminate'))).toEqual([]);
    expect(play(110, [finding()], policy('terminate'))).toEqual(['terminated']);
    expect(play(120, [finding()], policy('observe'))).toEqual([]);
    expect(play(500, [finding()], policy('terminate'))).toEqual([]);
    expect(play(510, [finding()], policy('terminate'))).toEqual(['killed']);
  });

  it('is held back as long as something forbids it, says so once, and has its grace again afterwards', () => {
    const play = player();
    const under = policy('terminate');
    expect(play(0, [finding()], under, 'controller-silent')).toEqual([]);
    expect(play(10, [finding()], under, 'controller-silent')).toEqual(['held-back controller-silent']);
    expect(play(500, [finding()], under, 'controller-silent')).toEqual([]);
    expect(play(501, [finding()], under)).toEqual([]);
    expect(play(510, [finding()], under)).toEqual(['terminated']);
    expect(play(520, [finding()], under, 'not-permitted')).toEqual(['held-back not-permitted']);
    expect(play(529, [finding()], under)).toEqual([]);
    expect(play(530, [finding()], under)).toEqual(['killed']);
  });

  it('is due again when its deed could not be done', () => {
    const under = policy('terminate');
    const first = decide(new Map(), [finding()], under, { nowMs: 0, forbidden: () => undefined });
    const second = decide(first.watch, [finding()], under, { nowMs: 10_000, forbidden: () => undefined });
    const third = decide(second.watch, [finding()], under, { nowMs: 11_000, forbidden: () => undefined });
    expect([first, second, third].map(({ due }) => due.map(({ kind }) => kind))).toEqual([[], ['terminated'], ['terminated']]);
  });
});

interface Moment {
  readonly afterSeconds: number;
  readonly findings: readonly Finding[];
  readonly policy: EnforcementPolicy | undefined;
  readonly silent: boolean;
  /** The ledger can be written. */
  readonly durable: boolean;
}

const mode = fc.oneof(
  { weight: 4, arbitrary: fc.constant<EnforcementMode>('terminate') },
  fc.constantFrom<EnforcementMode>('observe', 'notify'),
);
const somePolicy: fc.Arbitrary<EnforcementPolicy> = fc.record({
  foreignProcess: mode,
  outsideAllocation: mode,
  memoryOverShare: mode,
  graceSeconds: fc.constantFrom(0, 1, 3, 10),
});
const someFinding = fc
  .tuple(
    fc.integer({ min: 2, max: 4 }),
    fc.constantFrom('10', '20'),
    fc.constantFrom<FindingKind>('foreign-process', 'outside-allocation', 'memory-over-share'),
    fc.integer({ min: 0, max: 1 }),
  )
  .map((of) => finding(...of));
/** Most of what is found stays for a while, under a policy that changes now and then. */
const history: fc.Arbitrary<readonly Moment[]> = fc
  .tuple(
    fc.uniqueArray(someFinding, { selector: keyOf, minLength: 1, maxLength: 4 }),
    somePolicy,
    fc.array(
      fc.record({
        afterSeconds: fc.integer({ min: 0, max: 4 }),
        gone: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
        anyGone: fc.integer({ min: 0, max: 9 }),
        policy: fc.oneof({ weight: 12, arbitrary: fc.constant('same' as const) }, somePolicy, fc.constant(undefined)),
        silent: fc.integer({ min: 0, max: 9 }),
        durable: fc.integer({ min: 0, max: 9 }),
      }),
      { maxLength: 40 },
    ),
  )
  .map(([findings, first, moments]) => {
    let now: EnforcementPolicy | undefined = first;
    return moments.map((moment) => {
      if (moment.policy !== 'same') now = moment.policy;
      const present = moment.anyGone > 0 ? findings : findings.filter((_, index) => moment.gone[index] !== true);
      return {
        afterSeconds: moment.afterSeconds,
        findings: present,
        policy: now,
        silent: moment.silent === 0,
        durable: moment.durable > 0,
      };
    });
  });

interface Done {
  readonly atMs: number;
  readonly index: number;
  readonly deed: Deed;
}

function live(moments: readonly Moment[]): readonly Done[] {
  let watch: Watch = new Map();
  let nowMs = 0;
  const all: Done[] = [];
  for (const [index, moment] of moments.entries()) {
    nowMs += moment.afterSeconds * 1000;
    const forbidden = () => (moment.silent ? ('controller-silent' as const) : undefined);
    const decided = decide(watch, moment.findings, moment.policy, { nowMs, forbidden });
    watch = decided.watch;
    for (const deed of moment.durable ? decided.due : []) {
      watch = done(watch, deed, nowMs);
      all.push({ atMs: nowMs, index, deed });
    }
  }
  return all;
}

function modeFor(kind: FindingKind, under: EnforcementPolicy | undefined): EnforcementMode | undefined {
  return {
    'foreign-process': under?.foreignProcess,
    'outside-allocation': under?.outsideAllocation,
    'memory-over-share': under?.memoryOverShare,
  }[kind];
}

describe('in any history', () => {
  it('nothing is signalled that did not last a grace, unforbidden, in terminate mode; every deed is done once', () => {
    let signals = 0;
    fc.assert(
      fc.property(history, (moments) => {
        const deeds = live(moments);
        const times: number[] = [];
        for (const { afterSeconds } of moments) times.push((times.at(-1) ?? 0) + afterSeconds * 1000);
        const perStay = new Set<string>();
        for (const { atMs, index, deed } of deeds) {
          const { kind } = deed.finding;
          const graceMs = (moments[index]?.policy?.graceSeconds ?? 0) * 1000;
          const key = keyOf(deed.finding);
          // How far back it was there without a gap.
          let stay = index;
          while (moments[stay - 1]?.findings.some((other) => keyOf(other) === key) === true) stay -= 1;
          const mark = `${stay} ${key} ${deed.kind} ${deed.kind === 'held-back' ? deed.reason : ''}`;
          expect(perStay.has(mark)).toBe(false);
          perStay.add(mark);
          if (deed.kind === 'notified') expect(modeFor(kind, moments[index]?.policy)).toBe('notify');
          else expect(modeFor(kind, moments[index]?.policy)).toBe('terminate');
          if (deed.kind !== 'terminated' && deed.kind !== 'killed') continue;
          signals += 1;
          let from = index;
          const free = (at: number): boolean => moments[at]?.silent === false && modeFor(kind, moments[at]?.policy) === 'terminate';
          expect(free(index)).toBe(true);
          while (from > stay && free(from - 1)) from -= 1;
          // Grace counts from a listing in which it was found, or from the last in which it was forbidden.
          const since =
            from > stay && moments[from - 1]?.silent === true && modeFor(kind, moments[from - 1]?.policy) === 'terminate' ? from - 1 : from;
          expect(atMs - (times[since] ?? 0)).toBeGreaterThanOrEqual(graceMs);
          expect(index).toBeGreaterThan(stay);
          if (deed.kind === 'killed') {
            const told = deeds.find(
              (other) => other.index >= stay && other.deed.kind === 'terminated' && keyOf(other.deed.finding) === key,
            );
            expect(told?.index).toBeLessThan(index);
            expect(atMs - (told?.atMs ?? Number.NaN)).toBeGreaterThanOrEqual(graceMs);
          }
        }
      }),
      { numRuns: 300 },
    );
    // A law about nothing would hold as well.
    expect(signals).toBeGreaterThan(50);
  });

  it('the same listings lead to the same deeds', () => {
    fc.assert(
      fc.property(history, (moments) => {
        expect(live(moments)).toEqual(live(structuredClone(moments)));
      }),
      { numRuns: 50 },
    );
  });
});
