import type { AllocationId, NodeName } from '@astrago/shared/domain/ids';
import { describe, expect, it } from 'vitest';
import { auditInvariants } from '#core/audit';
import type { ObservedAllocationState } from '#core/cluster/observed';
import type { WorkloadRecord } from '#core/cluster/records';
import { allocationIds, h100, sampleCluster, sampleWorkload, slice } from '#core/cluster/sample-cluster';
import { attemptsMax } from '#core/workload';
import { OpenedStore } from '../testing/opened-store.ts';
import { stop } from './commands/stop.ts';
import { Journal } from './journal.ts';
import { observeAllocations } from './observe.ts';
import { scheduleRound } from './schedule.ts';
import { WaitingReasons } from './waiting.ts';

const node = 'node-1' as NodeName;
const running: ObservedAllocationState = { kind: 'running', startedAtMs: 50 };
const exited = (exitCode: number): ObservedAllocationState => ({ kind: 'exited', exitCode, startedAtMs: 50, endedAtMs: 60 });
const failed = (failure: Extract<ObservedAllocationState, { kind: 'failed' }>['failure']): ObservedAllocationState => ({
  kind: 'failed',
  failure,
  detail: 'as the driver said',
});

/** One H100 with one workload that was just placed there. */
class PlacedBench implements Disposable {
  readonly opened = new OpenedStore();
  readonly cluster = sampleCluster([{ name: node, gpus: [h100] }]);
  readonly #ids = allocationIds();
  readonly journal = new Journal({
    cluster: this.cluster,
    store: this.opened.store,
    nowMs: () => 100,
    onCommitted: () => undefined,
    onLeadershipLost: () => undefined,
  });

  async place(): Promise<AllocationId> {
    if (this.cluster.workloads.size === 0) {
      await this.journal.commit('test', (draft) => draft.apply({ kind: 'workload', record: sampleWorkload(1, slice('3g.40gb')) }));
    }
    await this.schedule();
    const allocation = this.workload.allocation;
    if (allocation === undefined) throw new Error('nothing was placed');
    return allocation;
  }

  schedule(): Promise<void> {
    return scheduleRound({
      journal: this.journal,
      waiting: new WaitingReasons(this.cluster),
      nextAllocationId: this.#ids,
      nowMs: () => 100,
      onDecided: () => undefined,
    });
  }

  report(id: AllocationId, state: ObservedAllocationState, from = node): Promise<void> {
    return observeAllocations({ journal: this.journal, nowMs: () => 100 }, from, [{ id, state }]);
  }

  async askToStop(): Promise<void> {
    await stop({ journal: this.journal, nowMs: () => 100 }, 'admin', this.workload);
  }

  get workload(): WorkloadRecord {
    const record = this.opened.store.findWorkload('w1', undefined);
    if (record === undefined) throw new Error('the workload is gone');
    return record;
  }

  get auditLog(): readonly string[] {
    return this.opened.raw(
      (database) => database.prepare("SELECT actor || ' ' || action FROM audit ORDER BY sequence").pluck().all() as string[],
    );
  }

  [Symbol.dispose](): void {
    this.opened[Symbol.dispose]();
  }
}

describe('what an agent reports', () => {
  it.each([
    ['exit code 0', exited(0), { phase: 'succeeded', endReason: 'completed', exitCode: 0, startedAtMs: 50, endedAtMs: 60 }],
    ['exit code 7', exited(7), { phase: 'failed', endReason: 'command-failed', exitCode: 7 }],
    ['a command that did not start', failed('start-failed'), { phase: 'failed', endReason: 'start-failed', detail: 'as the driver said' }],
    ['a lost process', failed('process-lost'), { phase: 'failed', endReason: 'process-lost' }],
    ['a reboot', failed('node-rebooted'), { phase: 'failed', endReason: 'node-rebooted' }],
    ['a lost device', failed('device-lost'), { phase: 'failed', endReason: 'device-lost' }],
  ] as const)('as %s ends the workload, and frees its slice in the same commit', async (_what, state, ended) => {
    using bench = new PlacedBench();
    const allocation = await bench.place();

    await bench.report(allocation, state);

    expect(bench.workload).toMatchObject(ended);
    expect(bench.cluster.allocations.size).toBe(0);
    expect(bench.opened.store.load()).toMatchObject({ workloads: [], allocations: [] });
    expect(auditInvariants(bench.cluster)).toEqual([]);
  });

  it.each([
    ['exits', exited(143), { exitCode: 143 }],
    ['was never started', failed('never-started'), {}],
  ] as const)('of a workload that was asked to stop and %s: it was stopped', async (_what, state, facts) => {
    using bench = new PlacedBench();
    const allocation = await bench.place();
    await bench.askToStop();
    expect([...bench.cluster.allocations.values()]).toMatchObject([{ intent: 'stop' }]);

    await bench.report(allocation, state);

    expect(bench.workload).toMatchObject({ phase: 'cancelled', endReason: 'stopped-by-user', ...facts });
    expect(bench.cluster.allocations.size).toBe(0);
  });

  it.each(['create-failed', 'gpu-in-use'] as const)(
    'as %s puts the workload back, a few times, and its slice out of the layout',
    async (failure) => {
      using bench = new PlacedBench();

      for (let attempt = 1; attempt < attemptsMax; attempt += 1) {
        await bench.report(await bench.place(), failed(failure));
        expect(bench.workload).toMatchObject({ phase: 'queued', attempts: attempt, devices: [] });
        expect([...bench.cluster.layouts.values()]).toMatchObject([{ layout: { kind: 'mig', slices: [] } }]);
      }
      await bench.report(await bench.place(), failed(failure));

      expect(bench.workload).toMatchObject({ phase: 'failed', endReason: failure, attempts: attemptsMax, detail: 'as the driver said' });
      expect(auditInvariants(bench.cluster)).toEqual([]);
    },
  );

  it('counts once, however often it is said', async () => {
    using bench = new PlacedBench();
    const allocation = await bench.place();

    await bench.report(allocation, running);
    const revision = bench.cluster.revision;
    await bench.report(allocation, running);
    expect(bench.cluster.revision).toBe(revision);
    await bench.report(allocation, exited(0));
    await bench.report(allocation, exited(0));

    expect(bench.auditLog).toEqual(['scheduler place', 'agent run', 'agent end']);
  });

  it('counts only from the node that holds the allocation', async () => {
    using bench = new PlacedBench();
    const allocation = await bench.place();

    await bench.report(allocation, exited(0), 'node-2' as NodeName);

    expect(bench.workload.phase).toBe('starting');
  });

  it('frees the place of work that its workload has long given up', async () => {
    using bench = new PlacedBench();
    const allocation = await bench.place();
    await bench.journal.commit('test', (draft) => {
      draft.apply({ kind: 'workload', record: { ...bench.workload, phase: 'failed', endReason: 'node-lost' } });
    });

    await bench.report(allocation, running);
    expect([...bench.cluster.allocations.values()]).toMatchObject([{ intent: 'stop' }]);
    await bench.report(allocation, exited(137));

    expect(bench.cluster.allocations.size).toBe(0);
    expect(bench.workload).toMatchObject({ phase: 'failed', endReason: 'node-lost' });
    expect(bench.auditLog).toEqual(['scheduler place', 'agent order-stop', 'agent release']);
  });
});
