import type { AllocationId, NodeName, WorkloadId } from '@astrago/shared/domain/ids';
import { noUnits } from '@astrago/shared/domain/units';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AllocationFailure, ObservedAllocationState } from './cluster/observed.ts';
import { type AllocationRecord, hasEnded, type WorkloadRecord } from './cluster/records.ts';
import { sampleGpuUuid, sampleWorkload, slice, whole } from './cluster/sample-cluster.ts';
import { allocationChange, attemptsMax, stepWorkload, type WorkloadEvent } from './workload.ts';

const bound: WorkloadEvent = {
  kind: 'bound',
  allocation: 'alc_00000001' as AllocationId,
  placement: { node: 'a' as NodeName, devices: [], units: noUnits, layouts: [] },
  atMs: 1,
};
const observed = (state: ObservedAllocationState): WorkloadEvent => ({ kind: 'observed', state, atMs: 5 });
const running = observed({ kind: 'running', startedAtMs: 3 });
const exited = (exitCode: number): WorkloadEvent => observed({ kind: 'exited', exitCode, startedAtMs: 3, endedAtMs: 4 });
const failed = (failure: AllocationFailure): WorkloadEvent => observed({ kind: 'failed', failure, detail: 'as the agent said' });
const stop: WorkloadEvent = { kind: 'stop-asked', atMs: 6 };
const lost: WorkloadEvent = { kind: 'node-lost', detail: 'no answer for 60 s', atMs: 7 };
const beneficiary = 'wkl_00000009' as WorkloadId;
const evicted: WorkloadEvent = { kind: 'evicted', eviction: { cause: 'preempted', beneficiary, node: 'a' as NodeName, atMs: 8 } };
const boundAgain: WorkloadEvent = { ...bound, allocation: 'alc_00000002' as AllocationId, atMs: 9 };

function after(...events: readonly WorkloadEvent[]): WorkloadRecord {
  return events.reduce(stepWorkload, sampleWorkload(1, slice('1g.10gb')));
}

describe('the life of a workload', () => {
  it.each([
    ['ends well', [bound, running, exited(0)], 'succeeded', 'completed'],
    ['ends before it was seen running', [bound, exited(0)], 'succeeded', 'completed'],
    ['fails by its command', [bound, running, exited(3)], 'failed', 'command-failed'],
    ['is cancelled in the queue', [stop], 'cancelled', 'cancelled-in-queue'],
    ['is stopped while it runs', [bound, running, stop, exited(143)], 'cancelled', 'stopped-by-user'],
    ['is stopped before it ran', [bound, stop, failed('never-started')], 'cancelled', 'stopped-by-user'],
    ['loses its node', [bound, running, lost], 'failed', 'node-lost'],
    ['loses its process', [bound, running, failed('process-lost')], 'failed', 'process-lost'],
    ['loses its node to a reboot while stopping', [bound, running, stop, failed('node-rebooted')], 'failed', 'node-rebooted'],
    ['cannot be started', [bound, failed('start-failed')], 'failed', 'start-failed'],
  ] as const)('%s', (_, events, phase, endReason) => {
    expect(after(...events)).toMatchObject({ phase, endReason });
  });

  it('is tried elsewhere when its slice could not be made, and not for ever', () => {
    expect(after(bound, failed('create-failed'))).toMatchObject({ phase: 'queued', attempts: 1 });
    const events = Array.from({ length: attemptsMax }, () => [bound, failed('gpu-in-use')]).flat();
    expect(after(...events)).toMatchObject({
      phase: 'failed',
      endReason: 'gpu-in-use',
      attempts: attemptsMax,
      detail: 'as the agent said',
    });
  });

  it('keeps the exit code and what a stopped command said', () => {
    expect(after(bound, running, stop, exited(143))).toMatchObject({ exitCode: 143, startedAtMs: 3, endedAtMs: 4 });
  });

  it('never leaves its end, and always has a reason there', () => {
    const failures = [failed('create-failed'), failed('device-lost')];
    const events = fc.constantFrom(bound, running, exited(0), exited(1), ...failures, stop, lost, evicted);
    fc.assert(
      fc.property(fc.array(events, { maxLength: 20 }), (sequence) => {
        let workload = sampleWorkload(1, slice('1g.10gb'));
        for (const event of sequence) {
          const next = stepWorkload(workload, event);
          if (hasEnded(workload.phase)) expect(next).toBe(workload);
          if (hasEnded(next.phase)) expect([next.endReason === undefined, next.endedAtMs === undefined]).toEqual([false, false]);
          workload = next;
        }
      }),
    );
  });
});

describe('a workload that is evicted', () => {
  const allocation: AllocationRecord = {
    id: 'alc_00000001' as AllocationId,
    workload: sampleWorkload(1, slice('1g.10gb')).id,
    workspace: sampleWorkload(1, slice('1g.10gb')).workspace,
    node: 'a' as NodeName,
    devices: [],
    units: noUnits,
    cpuMilli: 0,
    memoryMiB: 0,
    intent: 'run',
  };

  it.each([
    ['while it runs', [bound, running, evicted]],
    ['before it has started', [bound, evicted]],
  ] as const)('%s is told to stop', (_, events) => {
    const workload = after(...events);

    expect(workload).toMatchObject({ phase: 'stopping', eviction: { cause: 'preempted', beneficiary, node: 'a', atMs: 8, count: 1 } });
    expect(allocationChange(allocation, workload, undefined)).toEqual({ kind: 'allocation', record: { ...allocation, intent: 'stop' } });
  });

  it.each([
    ['exits well', exited(0)],
    ['exits by the signal', exited(143)],
    ['was never started', failed('never-started')],
    ['could not be made', failed('create-failed')],
    ['vanished', failed('process-lost')],
    ['was on a node that was rebooted', failed('node-rebooted')],
    ['was on a node that is lost', lost],
  ])('and %s queues again as if it were new', (_, event) => {
    const workload = after(bound, running, evicted, event);

    expect(workload).toEqual({
      ...sampleWorkload(1, slice('1g.10gb')),
      allocation: 'alc_00000001',
      detail: 'it was stopped to make room: it gave way to work that goes first',
      eviction: { cause: 'preempted', beneficiary, node: 'a', atMs: 8, count: 1 },
    });
  });

  it('runs again with another allocation, and every eviction is counted', () => {
    const workload = after(bound, running, evicted, exited(143), boundAgain, running, evicted);

    expect(workload).toMatchObject({ allocation: 'alc_00000002', attempts: 1, startedAtMs: 3, placedAtMs: 9, eviction: { count: 2 } });
    expect(after(bound, running, evicted, exited(143), boundAgain, running, exited(0))).toMatchObject({
      phase: 'succeeded',
      eviction: { count: 1 },
    });
  });

  it('and then asked to stop ends like any other that was stopped', () => {
    expect(after(bound, running, evicted, stop)).toMatchObject({ phase: 'stopping', eviction: undefined });
    expect(after(bound, running, evicted, stop, exited(0))).toMatchObject({ phase: 'cancelled', endReason: 'stopped-by-user' });
    expect(after(bound, running, evicted, exited(143), stop)).toMatchObject({ phase: 'cancelled', endReason: 'cancelled-in-queue' });
  });

  it('once and runs again is stopped by a user for good', () => {
    expect(after(bound, running, evicted, exited(143), boundAgain, running, stop, exited(143))).toMatchObject({
      phase: 'cancelled',
      endReason: 'stopped-by-user',
      exitCode: 143,
    });
  });

  it.each([
    ['waits', []],
    ['is being stopped for its user', [bound, running, stop]],
    ['has ended', [bound, exited(0)]],
    ['is being evicted already', [bound, running, evicted]],
  ] as const)('cannot be one that %s', (_, events) => {
    const before = after(...events);

    expect(stepWorkload(before, evicted)).toBe(before);
  });
});

describe('a move', () => {
  const gpu = sampleGpuUuid('b', 1);
  const moved = {
    kind: 'moved',
    allocation: 'alc_00000009' as AllocationId,
    node: 'b' as NodeName,
    devices: [{ gpu, slice: undefined }],
    atMs: 700,
  } as const;

  it.each(['starting', 'running'] as const)('takes what is %s to its new devices, where it has not begun', (phase) => {
    const before = sampleWorkload(1, whole(1), { phase, startedAtMs: 5, node: 'a' as NodeName });
    expect(stepWorkload(before, moved)).toMatchObject({
      phase: 'starting',
      allocation: 'alc_00000009',
      node: 'b',
      devices: [{ gpu }],
      placedAtMs: 700,
      startedAtMs: undefined,
    });
  });

  it.each(['queued', 'stopping', 'succeeded', 'failed', 'cancelled'] as const)('changes nothing of what is %s', (phase) => {
    const before = sampleWorkload(1, whole(1), { phase });
    expect(stepWorkload(before, moved)).toBe(before);
  });
});
