import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type ComputeMode,
  type ModeChanged,
  type MpsDaemonNow,
  nextSharingStep,
  type SharingNow,
  type SharingStep,
  type SharingWish,
} from './next-sharing-step.ts';

const limits = { threadPercentage: 50, memoryMiB: 1000 };
const mps: SharingWish = { kind: 'mps', limits };
const running = (more: Partial<Extract<MpsDaemonNow, { kind: 'running' }>> = {}): MpsDaemonNow => ({
  kind: 'running',
  limits,
  servers: [],
  ...more,
});
const idle: SharingNow = {
  device: { cut: false },
  mode: 'default',
  modeChanged: undefined,
  daemon: { kind: 'absent' },
  held: false,
  others: [],
};
const ours: ModeChanged = { before: 'default', set: 'exclusive-process' };

const wish: fc.Arbitrary<SharingWish> = fc.constantFrom<SharingWish>(
  { kind: 'nothing' },
  { kind: 'alone' },
  { kind: 'exclusive-process' },
  { kind: 'time-sliced' },
  mps,
  { kind: 'mps', limits: { threadPercentage: 20, memoryMiB: undefined } },
);
const clients = fc.array(fc.integer({ min: 2, max: 99 }), { maxLength: 2 });
const daemon: fc.Arbitrary<MpsDaemonNow> = fc.oneof(
  fc.constant<MpsDaemonNow>({ kind: 'absent' }),
  fc.array(fc.constant(7), { maxLength: 1 }).map((servers): MpsDaemonNow => ({ kind: 'dead', servers })),
  fc.constant<MpsDaemonNow>({ kind: 'unanswering', detail: 'it hangs' }),
  fc
    .record({
      granted: fc.constantFrom({}, limits, { threadPercentage: 20 }),
      state: fc.constantFrom('active' as const, 'fault' as const),
      clients,
    })
    .map(
      ({ granted, state, clients: pids }): MpsDaemonNow => ({
        kind: 'running',
        limits: granted,
        servers: [{ pid: 7, state, clients: pids }],
      }),
    ),
);
const modes = ['default', 'exclusive-process', 'prohibited'] as const;
const now: fc.Arbitrary<SharingNow> = fc.boolean().chain((cut) =>
  fc.record<SharingNow>({
    device: fc.constant({ cut }),
    mode: cut ? fc.constant(undefined) : fc.constantFrom<ComputeMode | undefined>(...modes, undefined),
    modeChanged: cut
      ? fc.constant(undefined)
      : fc.constantFrom<ModeChanged | undefined>(undefined, ours, { before: 'exclusive-process', set: 'default' }),
    daemon,
    held: fc.boolean(),
    others: fc.constantFrom<readonly string[]>([], ['process 5 (python)']),
  }),
);

/** What the step does where nothing goes wrong. */
function take(step: SharingStep, before: SharingNow): SharingNow {
  switch (step.kind) {
    case 'set-compute-mode':
      return { ...before, mode: step.mode, modeChanged: { before: step.before, set: step.mode } };
    case 'forget-compute-mode':
      return { ...before, modeChanged: undefined };
    case 'start-mps':
      return { ...before, daemon: { kind: 'running', limits: { threadPercentage: 100 }, servers: [] } };
    case 'set-mps-limits':
      return { ...before, daemon: before.daemon.kind === 'running' ? { ...before.daemon, limits: step.limits } : before.daemon };
    case 'stop-mps':
    case 'clear-mps':
      return { ...before, daemon: { kind: 'absent' } };
    default:
      return step satisfies never;
  }
}

function settle(
  wanted: SharingWish,
  from: SharingNow,
): { readonly steps: readonly SharingStep['kind'][]; readonly now: SharingNow; readonly ready: boolean } {
  const steps: SharingStep['kind'][] = [];
  for (let at = from; ; ) {
    const outlook = nextSharingStep(wanted, at);
    if (outlook.step === undefined) return { steps, now: at, ready: outlook.ready };
    steps.push(outlook.step.kind);
    expect(steps.length).toBeLessThan(8);
    at = take(outlook.step, at);
  }
}

describe('the steps to a shared device', () => {
  it('come to an end from everywhere, and where nobody is in the way the device is as it is wanted', () => {
    fc.assert(
      fc.property(wish, now, (wanted, from) => {
        const { now: at, ready } = settle(wanted, from);
        if (!ready) return;
        if (wanted.kind === 'mps')
          expect(at.daemon.kind === 'running' && at.daemon.servers.every(({ state }) => state !== 'fault')).toBe(true);
        else expect(at.daemon.kind).toBe('absent');
        if (wanted.kind === 'exclusive-process') expect(at.mode).toBe('exclusive-process');
        if (wanted.kind === 'time-sliced' && !at.device.cut) expect([undefined, 'default']).toContain(at.mode);
        if (wanted.kind === 'nothing' || wanted.kind === 'alone') expect(at.modeChanged).toBeUndefined();
      }),
    );
  });

  it('always reach it on a device that nobody uses', () => {
    fc.assert(
      fc.property(wish, now, (wanted, from) => {
        const quiet = {
          ...from,
          held: false,
          others: [],
          mode: from.device.cut ? undefined : ('default' as const),
          daemon: { kind: 'absent' as const },
        };
        if (from.device.cut && wanted.kind === 'exclusive-process') return;
        expect(settle(wanted, quiet).ready).toBe(true);
      }),
    );
  });

  it('never change the mode under somebody else, nor that of a slice, nor overrule PROHIBITED', () => {
    fc.assert(
      fc.property(wish, now, (wanted, from) => {
        const { step } = nextSharingStep(wanted, from);
        if (step?.kind !== 'set-compute-mode') return;
        expect([from.others, from.device.cut, from.mode === 'prohibited']).toEqual([[], false, false]);
      }),
    );
  });

  it('stop no daemon with a client or a need, and end no server that somebody may be on', () => {
    fc.assert(
      fc.property(wish, now, (wanted, from) => {
        const { step } = nextSharingStep(wanted, from);
        if (step?.kind === 'stop-mps' && from.daemon.kind === 'running') {
          expect(wanted.kind).not.toBe('mps');
          expect(from.daemon.servers.flatMap((server) => server.clients)).toEqual([]);
        }
        if (step?.kind === 'stop-mps' && from.daemon.kind === 'unanswering') expect(from.held).toBe(false);
        if (step?.kind === 'clear-mps' && from.daemon.kind === 'dead' && from.held) expect(from.daemon.servers).toEqual([]);
      }),
    );
  });

  it.each<[string, SharingWish, Partial<SharingNow>, readonly SharingStep['kind'][], boolean]>([
    ['to MPS on a GPU', mps, {}, ['set-compute-mode', 'start-mps', 'set-mps-limits'], true],
    ['to MPS on a slice', mps, { device: { cut: true }, mode: undefined }, ['start-mps', 'set-mps-limits'], true],
    ['to MPS where the mode is right already', mps, { mode: 'exclusive-process' }, ['start-mps', 'set-mps-limits'], true],
    [
      'from MPS to nothing',
      { kind: 'nothing' },
      { daemon: running(), mode: 'exclusive-process', modeChanged: ours },
      ['stop-mps', 'set-compute-mode', 'forget-compute-mode'],
      true,
    ],
    ['from MPS of a mode that was there before', { kind: 'nothing' }, { daemon: running(), mode: 'exclusive-process' }, ['stop-mps'], true],
    [
      'after a person has changed the mode since',
      { kind: 'alone' },
      { mode: 'prohibited', modeChanged: ours },
      ['forget-compute-mode'],
      true,
    ],
    [
      'from MPS to one exclusive process',
      { kind: 'exclusive-process' },
      { daemon: running(), mode: 'exclusive-process', modeChanged: ours },
      ['stop-mps'],
      true,
    ],
    ['to turns on a GPU that lets one in', { kind: 'time-sliced' }, { mode: 'exclusive-process' }, ['set-compute-mode'], true],
    [
      'to turns where we let one in',
      { kind: 'time-sliced' },
      { mode: 'exclusive-process', modeChanged: ours },
      ['set-compute-mode', 'forget-compute-mode'],
      true,
    ],
    [
      'after a daemon has died',
      mps,
      { mode: 'exclusive-process', daemon: { kind: 'dead', servers: [] }, held: true },
      ['clear-mps', 'start-mps', 'set-mps-limits'],
      true,
    ],
    ['while its server still serves', mps, { mode: 'exclusive-process', daemon: { kind: 'dead', servers: [7] }, held: true }, [], false],
    [
      'while clients of a faulty server end',
      mps,
      { mode: 'exclusive-process', daemon: running({ servers: [{ pid: 7, state: 'fault', clients: [9] }] }) },
      [],
      false,
    ],
    [
      'while clients are connected',
      { kind: 'alone' },
      { daemon: running({ servers: [{ pid: 7, state: 'active', clients: [9] }] }) },
      [],
      false,
    ],
    [
      'past a daemon that hangs under its clients',
      mps,
      { mode: 'exclusive-process', held: true, daemon: { kind: 'unanswering', detail: 'x' } },
      [],
      false,
    ],
    [
      'past a daemon that hangs for nobody',
      mps,
      { mode: 'exclusive-process', daemon: { kind: 'unanswering', detail: 'x' } },
      ['stop-mps', 'start-mps', 'set-mps-limits'],
      true,
    ],
    ['to one process where the driver does not say the mode', { kind: 'exclusive-process' }, { mode: undefined }, [], false],
  ])('%s', (_, wanted, from, steps, ready) => {
    expect(settle(wanted, { ...idle, ...from })).toMatchObject({ steps, ready });
  });
});
