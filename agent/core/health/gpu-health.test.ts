import type { GpuUuid } from '@astrago/shared/domain/ids';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { GpuSample } from '../telemetry/sample.ts';
import {
  afterRecoveryNote,
  afterReset,
  afterSample,
  afterSilence,
  afterXid,
  findingsOf,
  type GpuHealth,
  tidied,
  unexamined,
} from './gpu-health.ts';
import { quietMs, type Xid } from './xid-memory.ts';

const gpuUuid = 'GPU-00000000-0000-0000-0000-000000000001' as GpuUuid;
const second = 1000;

function sample(atMs: number, values: GpuSample['values'] = {}, words: GpuSample['words'] = {}): GpuSample {
  return { gpuUuid, atMs, values, words };
}

function xid(code: number, more: Partial<Xid> = {}): Xid {
  return { code, text: '', pid: undefined, process: undefined, gpuInstanceId: undefined, ...more };
}

/** A sample every ten seconds for a while, from a moment on. */
function watch(
  health: GpuHealth,
  fromMs: number,
  forMs: number,
  of: (atMs: number, index: number) => readonly [GpuSample['values'], GpuSample['words']?],
): GpuHealth {
  let next = health;
  for (let index = 0; index * 10 * second <= forMs; index += 1) {
    const atMs = fromMs + index * 10 * second;
    next = afterSample(next, sample(atMs, ...of(atMs, index)), atMs);
  }
  return next;
}

const kinds = (health: GpuHealth, nowMs: number): readonly string[] => findingsOf(health, nowMs).map(({ kind }) => kind);

describe('samples', () => {
  it.each([
    ['ecc-uncorrected', 'ecc-uncorrectable'],
    ['sram-threshold-exceeded', 'ecc-threshold-exceeded'],
    ['row-remap-failure', 'row-remap-failure'],
    ['row-remap-pending', 'row-remap-pending'],
    ['retired-pages-pending', 'retired-pages-pending'],
  ] as const)('%s is believed at once, and forgotten a while after it is gone', (measure, kind) => {
    const bad = afterSample(unexamined, sample(0, { [measure]: 1 }), 0);
    expect(kinds(bad, 0)).toEqual([kind]);
    const doubtful = watch(bad, 10 * second, 20 * second, () => [{ [measure]: 0 }]);
    expect(kinds(doubtful, 30 * second)).toEqual([kind]);
    expect(
      kinds(
        watch(doubtful, 40 * second, 0, () => [{ [measure]: 0 }]),
        40 * second,
      ),
    ).toEqual([]);
  });

  it('leaves a finding alone while its value is absent, for ever', () => {
    const bad = afterSample(unexamined, sample(0, { 'ecc-uncorrected': 2 }), 0);
    expect(
      findingsOf(
        watch(bad, 10 * second, 3600 * second, () => [{}]),
        3610 * second,
      ),
    ).toEqual([{ kind: 'ecc-uncorrectable', detail: '2 memory errors could not be corrected since the driver was loaded' }]);
    expect(kinds(afterSilence(bad), 0)).toEqual(['ecc-uncorrectable']);
  });

  it('lets work come after errors that the driver has contained', () => {
    const contained = watch(unexamined, 0, 60 * second, () => [{ 'ecc-uncorrected': 1 }, { recoveryAction: 'none' }]);
    expect(kinds(contained, 60 * second)).toEqual(['ecc-contained']);
    const worse = watch(contained, 70 * second, 60 * second, () => [{ 'ecc-uncorrected': 2 }, { recoveryAction: 'reset' }]);
    expect(kinds(worse, 130 * second)).toEqual(['recovery-reset', 'ecc-uncorrectable']);
  });

  it('does not tell of clocks that are held down now and then', () => {
    for (const measure of ['slowed-by-thermal', 'slowed-by-power-brake'] as const) {
      const flicker = watch(unexamined, 0, 3600 * second, (_, index) => [{ [measure]: index % 3 === 0 ? 0 : 1 }]);
      expect(kinds(flicker, 3600 * second)).toEqual([]);
      const lasting = watch(flicker, 3610 * second, 30 * second, () => [{ [measure]: 1 }]);
      expect(kinds(lasting, 3640 * second)).toEqual([measure === 'slowed-by-thermal' ? 'thermal-slowdown' : 'power-brake']);
      const flickering = watch(lasting, 3650 * second, 3600 * second, (_, index) => [{ [measure]: index % 3 === 0 ? 1 : 0 }]);
      expect(kinds(flickering, 7250 * second)).toHaveLength(1);
      const cool = watch(flickering, 7260 * second, 120 * second, () => [{ [measure]: 0 }]);
      expect(kinds(cool, 7380 * second)).toEqual([]);
    }
  });

  it('sees by the driver’s own count what flickers between samples, also where the count comes seldom', () => {
    const counting = (share: number, everyS: number) => (atMs: number) =>
      [{ 'slowed-by-thermal': 0, 'thermal-slowdown-time': Math.floor(atMs / second / everyS) * everyS * share }] as const;
    for (const everyS of [10, 30]) {
      const hot = watch(unexamined, 0, 120 * second, counting(0.4, everyS));
      expect(kinds(hot, 120 * second)).toEqual(['thermal-slowdown']);
      expect(
        kinds(
          watch(hot, 130 * second, 600 * second, () => [{ 'slowed-by-thermal': 0, 'thermal-slowdown-time': 48 }]),
          730 * second,
        ),
      ).toEqual([]);
      expect(kinds(watch(unexamined, 0, 600 * second, counting(0.005, everyS)), 600 * second)).toEqual([]);
    }
  });

  it('judges the width of a link that is awake, and never its generation', () => {
    const idle = watch(unexamined, 0, 600 * second, () => [
      { 'pcie-width': 16, 'pcie-width-max': 16, 'pcie-generation': 1, 'pcie-generation-max': 5, 'performance-state': 8 },
    ]);
    expect(kinds(idle, 600 * second)).toEqual([]);
    const asleep = watch(idle, 610 * second, 600 * second, () => [{ 'pcie-width': 4, 'pcie-width-max': 16, 'performance-state': 8 }]);
    expect(kinds(asleep, 1210 * second)).toEqual([]);
    const brief = watch(asleep, 1220 * second, 40 * second, () => [{ 'pcie-width': 8, 'pcie-width-max': 16, 'performance-state': 0 }]);
    expect(kinds(brief, 1260 * second)).toEqual([]);
    const narrow = watch(brief, 1270 * second, 30 * second, () => [{ 'pcie-width': 8, 'performance-state': 0 }]);
    expect(findingsOf(narrow, 1300 * second)).toEqual([
      {
        kind: 'pcie-degraded',
        detail: 'its PCIe link has 8 of 16 lanes; seat the board anew or look at riser and slot',
        sinceMs: undefined,
      },
    ]);
    expect(
      kinds(
        watch(narrow, 1310 * second, 60 * second, () => [{ 'pcie-width': 16 }]),
        1370 * second,
      ),
    ).toEqual([]);
  });

  it('gives a fabric time to come up', () => {
    const starting = watch(unexamined, 0, 240 * second, () => [{}, { fabricState: 'in-progress' }]);
    expect(kinds(starting, 240 * second)).toEqual([]);
    const up = watch(starting, 250 * second, 600 * second, () => [{}, { fabricState: 'completed', fabricStatus: 'Success' }]);
    expect(kinds(up, 850 * second)).toEqual([]);
    expect(
      kinds(
        watch(starting, 250 * second, 100 * second, () => [{}, { fabricState: 'in-progress' }]),
        350 * second,
      ),
    ).toEqual(['fabric-degraded']);
    const none = watch(up, 860 * second, 600 * second, () => [{}, { fabricState: 'completed', fabricStatus: 'N/A' }]);
    expect(kinds(none, 1460 * second)).toEqual([]);
    const failed = watch(up, 860 * second, 60 * second, () => [{}, { fabricState: 'completed', fabricStatus: 'Insufficient Resources' }]);
    expect(kinds(failed, 920 * second)).toEqual(['fabric-degraded']);
  });
});

describe('Xids', () => {
  it.each([
    [13, 'xid-application'],
    [31, 'xid-application'],
    [43, 'xid-application'],
    [45, 'xid-application'],
    [68, 'xid-application'],
    [94, 'xid-warning'],
    [109, 'xid-warning'],
    [48, 'xid-needs-reset'],
    [62, 'xid-needs-reset'],
    [64, 'xid-needs-reset'],
    [74, 'xid-needs-reset'],
    [95, 'xid-needs-reset'],
    [119, 'xid-needs-reset'],
    [120, 'xid-needs-reset'],
    [140, 'xid-needs-reset'],
    [79, 'xid-needs-reboot'],
    [4711, 'xid-warning'],
  ] as const)('%i is %s', (code, kind) => {
    expect(kinds(afterXid(unexamined, xid(code), 0), 0)).toEqual([kind]);
  });

  it('says how often, who and where', () => {
    let health = unexamined;
    for (let count = 0; count < 123; count += 1) health = afterXid(health, xid(94, { pid: 7, process: 'python', gpuInstanceId: 2 }), count);
    health = afterXid(health, xid(63), 200);
    expect(findingsOf(health, 200)).toEqual([
      {
        kind: 'xid-warning',
        detail:
          'Xid 63, a memory row or page is marked for replacement; Xid 94, contained memory error by python 7 in GPU instance 2 (over 100 times)',
        sinceMs: 0,
      },
    ]);
  });

  it('of programs and warnings pass after a quiet time, others do not', () => {
    let health = unexamined;
    for (const code of [13, 94, 48, 79]) health = afterXid(health, xid(code), 0);
    expect(kinds(health, quietMs.application - 1)).toHaveLength(4);
    expect(kinds(health, quietMs.application)).toEqual(['xid-warning', 'xid-needs-reset', 'xid-needs-reboot']);
    expect(kinds(health, quietMs.warning)).toEqual(['xid-needs-reset', 'xid-needs-reboot']);
    expect(tidied(health, 1e12).xids.size).toBe(2);
  });

  it('end with a reset after them, told or seen, and not with one before', () => {
    const health = afterXid(unexamined, xid(48), 100);
    expect(kinds(afterReset(health, 99), 200)).toEqual(['xid-needs-reset']);
    expect(kinds(afterReset(health, 101), 200)).toEqual([]);
    // Read late from the log: the reset of that time has already ended it.
    const reset = afterReset(unexamined, 101);
    expect(kinds(afterRecoveryNote(afterXid(reset, xid(48), 100), 'reset', 100), 200)).toEqual([]);
    expect(kinds(afterXid(reset, xid(48), 200), 200)).toEqual(['xid-needs-reset']);

    const words = { persistence: true };
    const worked = afterXid(afterSample(unexamined, sample(0, { energy: 5000 }, words), 0), xid(48), 1);
    expect(kinds(afterSample(worked, sample(10, { energy: 10 }, words), 10), 10)).toEqual([]);
    // Without persistence the counts begin anew whenever nobody uses the GPU.
    expect(kinds(afterSample(worked, sample(10, { energy: 10 }, { persistence: false }), 10), 10)).toEqual(['xid-needs-reset']);
  });

  it('give way to what the driver itself asks for, once it has had time to say it', () => {
    const told = watch(unexamined, 0, 60 * second, () => [{}, { recoveryAction: 'none' }]);
    const struck = afterXid(told, xid(119), 60 * second);
    expect(
      kinds(
        watch(struck, 61 * second, 20 * second, () => [{}, { recoveryAction: 'none' }]),
        81 * second,
      ),
    ).toEqual(['xid-needs-reset']);
    expect(
      kinds(
        watch(struck, 61 * second, 40 * second, () => [{}, { recoveryAction: 'none' }]),
        101 * second,
      ),
    ).toEqual([]);
    expect(
      kinds(
        watch(struck, 61 * second, 40 * second, () => [{}, { recoveryAction: 'reboot' }]),
        101 * second,
      ),
    ).toEqual(['recovery-reboot']);
    expect(
      kinds(
        watch(struck, 61 * second, 4000 * second, () => [{}]),
        4061 * second,
      ),
    ).toEqual(['xid-needs-reset']);
  });

  it('take a bounded memory', () => {
    let health = unexamined;
    for (let code = 1000; code < 3000; code += 1) health = afterXid(health, xid(code), code);
    expect(health.xids.size).toBe(16);
    expect(findingsOf(health, 3000)[0]?.detail.length).toBeLessThan(300);
    for (let code = 0; code < 300; code += 1) health = afterXid(health, xid(code), 3000);
    expect(health.xids.size).toBeLessThan(150);
    expect(kinds(health, 3000)).toEqual(expect.arrayContaining(['xid-needs-reset', 'xid-needs-reboot']));
  });
});

describe('what the driver asks for', () => {
  it.each([
    ['drain', 'recovery-drain'],
    ['drain-and-reset', 'recovery-reset'],
    ['reset', 'recovery-reset'],
    ['reboot', 'recovery-reboot'],
  ] as const)('%s is believed at once, from a sample or from the log', (word, kind) => {
    const asked = afterSample(unexamined, sample(0, {}, { recoveryAction: word }), 0);
    expect(kinds(asked, 0)).toEqual([kind]);
    expect(
      kinds(
        watch(asked, 10 * second, 30 * second, () => [{}, { recoveryAction: 'none' }]),
        40 * second,
      ),
    ).toEqual([]);
    expect(kinds(afterRecoveryNote(unexamined, word, 0), 0)).toEqual([kind]);
  });

  it('ends by a reset also where samples do not tell of it', () => {
    const asked = afterRecoveryNote(unexamined, 'reset', 0);
    expect(
      kinds(
        watch(asked, 10 * second, 600 * second, () => [{}]),
        610 * second,
      ),
    ).toEqual(['recovery-reset']);
    expect(
      kinds(
        watch(afterReset(asked, 5 * second), 10 * second, 30 * second, () => [{}]),
        40 * second,
      ),
    ).toEqual([]);
  });
});

describe('the order of things', () => {
  it('does not matter between Xids of one moment', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(13, 31, 48, 79, 94, 119, 500), { maxLength: 20 }), (codes) => {
        const after = (order: readonly number[]): unknown =>
          findingsOf(
            order.reduce((health, code) => afterXid(health, xid(code), 0), unexamined),
            0,
          ).toSorted((a, b) => (a.kind < b.kind ? -1 : 1));
        expect(after(codes)).toEqual(after(codes.toReversed()));
      }),
    );
  });

  it('of causes that have nothing to do with each other does not matter', () => {
    const steps = fc.array(
      fc.record({
        hot: fc.constantFrom(0, 1, undefined),
        errors: fc.constantFrom(0, 3, undefined),
        word: fc.constantFrom('none', 'reset', undefined),
      }),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(steps, (seen) => {
        const of = (values: (index: number) => GpuSample['values']): readonly string[] => {
          const atMs = seen.length * 10 * second;
          const health = watch(unexamined, 0, atMs - 10 * second, (_, index) => [values(index)]);
          return kinds(seen.length === 0 ? unexamined : health, atMs);
        };
        const hot = of((index) => given('slowed-by-thermal', seen[index]?.hot));
        const broken = of((index) => given('ecc-uncorrected', seen[index]?.errors));
        const both = of((index) => ({ ...given('slowed-by-thermal', seen[index]?.hot), ...given('ecc-uncorrected', seen[index]?.errors) }));
        expect([...both].sort()).toEqual([...hot, ...broken].sort());
      }),
    );
  });
});

function given(key: 'slowed-by-thermal' | 'ecc-uncorrected', value: number | undefined): GpuSample['values'] {
  return value === undefined ? {} : { [key]: value };
}
