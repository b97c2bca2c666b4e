import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AllocationStatus, type DeviceFact, type ProcessFact, stepAllocation } from './allocation-step.ts';
import type { DesiredAllocation } from './order.ts';

const run: DesiredAllocation['intent'] = { kind: 'run', command: ['true'], environment: {}, workingDirectory: undefined };
const stop = (graceSeconds: number): DesiredAllocation['intent'] => ({ kind: 'stop', graceSeconds });
const ready: DeviceFact = { kind: 'ready', visible: ['MIG-1'] };
const running: ProcessFact = { kind: 'running', startedAtMs: 5 };
const exited: ProcessFact = { kind: 'exited', exitCode: 3, startedAtMs: 5, endedAtMs: 9 };

type Facts = Parameters<typeof stepAllocation>[0];
const facts = (more: Partial<Facts>): Facts => ({
  intent: run,
  process: { kind: 'absent' },
  devices: ready,
  verdict: undefined,
  stoppingForMs: undefined,
  leftovers: false,
  ...more,
});

const anything: fc.Arbitrary<Facts> = fc.record({
  intent: fc.oneof(fc.constant(run), fc.nat(10).map(stop)),
  process: fc.constantFrom<ProcessFact>(
    { kind: 'absent' },
    running,
    exited,
    { kind: 'lost', rebooted: true },
    { kind: 'lost', rebooted: false },
  ),
  devices: fc.constantFrom<DeviceFact>(ready, { kind: 'coming' }, { kind: 'failed', failure: 'create-failed', detail: 'x' }),
  verdict: fc.constantFrom<AllocationStatus | undefined>(undefined, { kind: 'failed', failure: 'never-started', detail: 'x' }),
  stoppingForMs: fc.option(fc.nat(20_000), { nil: undefined }),
  leftovers: fc.boolean(),
});

describe('an allocation', () => {
  it('is started only when it is to run, never ran, and its devices are ready', () => {
    fc.assert(
      fc.property(anything, (given) => {
        if (stepAllocation(given).action.kind !== 'start') return;
        expect(given.intent.kind).toBe('run');
        expect(given.process.kind).toBe('absent');
        expect(given.devices.kind).toBe('ready');
        expect(given.verdict).toBeUndefined();
      }),
    );
  });

  it('is signalled only when it is to stop or has left something behind', () => {
    fc.assert(
      fc.property(anything, (given) => {
        const { action } = stepAllocation(given);
        if (action.kind === 'terminate' || action.kind === 'kill')
          expect([given.intent.kind, given.process.kind]).toEqual(['stop', 'running']);
        if (action.kind === 'clean-up')
          expect(given.leftovers && (given.process.kind === 'exited' || given.process.kind === 'lost')).toBe(true);
      }),
    );
  });

  it('has not ended while anything of it is left', () => {
    fc.assert(
      fc.property(anything, (given) => {
        const { status } = stepAllocation({ ...given, verdict: undefined });
        if (given.process.kind === 'running' || (given.leftovers && given.process.kind !== 'absent'))
          expect(['running', 'stopping']).toContain(status.kind);
      }),
    );
  });

  it('keeps an end that was decided, whatever is seen later', () => {
    fc.assert(
      fc.property(anything, (given) => {
        if (given.verdict !== undefined) expect(stepAllocation(given)).toEqual({ status: given.verdict, action: { kind: 'none' } });
      }),
    );
  });

  it.each<[string, Partial<Facts>, string, string]>([
    ['waits for its devices', { devices: { kind: 'coming' } }, 'preparing', 'none'],
    ['starts', {}, 'preparing', 'start'],
    ['fails with its devices', { devices: { kind: 'failed', failure: 'gpu-in-use', detail: 'x' } }, 'failed gpu-in-use', 'none'],
    ['runs', { process: running }, 'running', 'none'],
    ['is told to end first', { process: running, intent: stop(5) }, 'stopping', 'terminate'],
    ['has its grace', { process: running, intent: stop(5), stoppingForMs: 4999 }, 'stopping', 'none'],
    ['is killed after it', { process: running, intent: stop(5), stoppingForMs: 5000 }, 'stopping', 'kill'],
    ['is never started after a stop', { intent: stop(5) }, 'failed never-started', 'none'],
    ['ends', { process: exited }, 'exited', 'none'],
    ['ends while being stopped', { process: exited, intent: stop(5), stoppingForMs: 1 }, 'exited', 'none'],
    ['is cleaned up first', { process: exited, leftovers: true }, 'stopping', 'clean-up'],
    ['is lost with its supervisor', { process: { kind: 'lost', rebooted: false } }, 'failed process-lost', 'none'],
    [
      'is lost with its supervisor and cleaned up first',
      { process: { kind: 'lost', rebooted: false }, leftovers: true },
      'stopping',
      'clean-up',
    ],
    ['is lost in a reboot', { process: { kind: 'lost', rebooted: true } }, 'failed node-rebooted', 'none'],
  ])('%s', (_, given, status, action) => {
    const step = stepAllocation(facts(given));

    expect([step.status.kind === 'failed' ? `failed ${step.status.failure}` : step.status.kind, step.action.kind]).toEqual([
      status,
      action,
    ]);
  });
});
