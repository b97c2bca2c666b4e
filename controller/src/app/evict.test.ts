import type { AllocationId, NodeName, WorkloadId } from '@astrago/shared/domain/ids';
import { describe, expect, it } from 'vitest';
import { auditInvariants } from '#core/audit';
import { Cluster } from '#core/cluster/cluster';
import type { ObservedAllocationState } from '#core/cluster/observed';
import type { WorkloadRecord } from '#core/cluster/records';
import { allocationIds, h100, observedNode, sampleCluster, sampleWorkload, slice } from '#core/cluster/sample-cluster';
import { putStored } from '#core/cluster/stored';
import { allocationChange, stepWorkload } from '#core/workload';
import { OpenedStore } from '../testing/opened-store.ts';
import { stop } from './commands/stop.ts';
import { desiredState } from './desired-state.ts';
import { Journal } from './journal.ts';
import { observeAllocations } from './observe.ts';
import { scheduleRound } from './schedule.ts';
import { WaitingReasons } from './waiting.ts';

const node = 'node-1' as NodeName;
const running: ObservedAllocationState = { kind: 'running', startedAtMs: 50 };
const exited: ObservedAllocationState = { kind: 'exited', exitCode: 0, startedAtMs: 50, endedAtMs: 60 };

/** One H100 with one workload that runs there; the controller may be killed and started again at any point. */
class EvictionBench implements Disposable {
  readonly opened = new OpenedStore();
  readonly #ids = allocationIds();
  cluster = sampleCluster([{ name: node, gpus: [h100] }]);
  #journal = this.#open();

  #open(): Journal {
    const { cluster } = this;
    const { store } = this.opened;
    return new Journal({ cluster, store, nowMs: () => 100, onCommitted: () => undefined, onLeadershipLost: () => undefined });
  }

  /** What was not on disk is gone, and what the node shows comes with its next report. */
  killAndStart(): void {
    const loaded = this.opened.reopen().load();
    this.cluster = new Cluster();
    putStored(this.cluster, loaded);
    this.cluster.apply({ kind: 'observed-node', node: observedNode({ name: node, gpus: [h100] }) });
    this.cluster.keep();
    this.#journal = this.#open();
  }

  async run(): Promise<void> {
    await this.#journal.commit('test', (draft) => draft.apply({ kind: 'workload', record: sampleWorkload(1, slice('3g.40gb')) }));
    await this.schedule();
    await this.report('alc_00000001', running);
  }

  schedule(): Promise<void> {
    const deps = { journal: this.#journal, waiting: new WaitingReasons(this.cluster), nextAllocationId: this.#ids, nowMs: () => 100 };
    return scheduleRound({ ...deps, onDecided: () => undefined });
  }

  evict(): Promise<void> {
    return this.#journal.commit('scheduler', (draft) => {
      const eviction = { cause: 'reclaimed', beneficiary: 'wkl_00000009' as WorkloadId, node, atMs: 100 } as const;
      const next = stepWorkload(this.workload, { kind: 'evicted', eviction });
      draft.apply({ kind: 'workload', record: next });
      for (const allocation of draft.cluster.allocationsOnNode(node)) {
        const change = allocationChange(allocation, next, undefined);
        if (change !== undefined) draft.apply(change);
      }
    });
  }

  report(id: string, state: ObservedAllocationState): Promise<void> {
    return observeAllocations({ journal: this.#journal, nowMs: () => 100 }, node, [{ id: id as AllocationId, state }]);
  }

  async askToStop(): Promise<void> {
    await stop({ journal: this.#journal, nowMs: () => 100 }, 'admin', this.workload);
  }

  get workload(): WorkloadRecord {
    return this.opened.store.findWorkload('w1', undefined) ?? expect.unreachable();
  }

  get orders(): readonly (readonly [string, string])[] {
    return desiredState(this.cluster, node).allocations.map(({ id, intent }) => [id, intent.kind] as const);
  }

  [Symbol.dispose](): void {
    this.opened[Symbol.dispose]();
  }
}

describe('an eviction', () => {
  it.each([
    ['and nobody dies', []],
    ['when the controller is killed before the agent was told', ['told']],
    ['when it is killed after the command has ended', ['ended']],
    ['when it is killed at every point', ['told', 'ended', 'queued', 'placed']],
  ])('stops the workload, queues it again and runs it anew, %s', async (_, killedWhen) => {
    using bench = new EvictionBench();
    const perhapsKill = (when: string): void => {
      if (killedWhen.includes(when)) bench.killAndStart();
    };
    await bench.run();

    await bench.evict();
    perhapsKill('told');
    expect(bench.orders).toEqual([['alc_00000001', 'stop']]);
    await bench.report('alc_00000001', { kind: 'stopping' });
    perhapsKill('ended');
    await bench.report('alc_00000001', exited);
    perhapsKill('queued');
    expect(bench.workload).toMatchObject({ phase: 'queued', attempts: 0, devices: [], eviction: { cause: 'reclaimed', count: 1 } });
    expect(bench.orders).toEqual([]);
    await bench.schedule();
    perhapsKill('placed');
    await bench.report('alc_00000002', running);

    expect(bench.orders).toEqual([['alc_00000002', 'run']]);
    expect(bench.workload).toMatchObject({ phase: 'running', allocation: 'alc_00000002', attempts: 1 });
    expect(auditInvariants(bench.cluster)).toEqual([]);
  });

  it('is forgotten when its workload is asked to stop meanwhile, also after a kill', async () => {
    using bench = new EvictionBench();
    await bench.run();
    await bench.evict();

    await bench.askToStop();
    bench.killAndStart();
    await bench.report('alc_00000001', exited);

    expect(bench.workload).toMatchObject({ phase: 'cancelled', endReason: 'stopped-by-user', exitCode: 0 });
    expect(bench.cluster.allocations.size).toBe(0);
  });

  it('does not mistake what is said of the allocation before for the one that runs now', async () => {
    using bench = new EvictionBench();
    await bench.run();
    await bench.evict();
    await bench.report('alc_00000001', exited);
    await bench.schedule();

    await bench.report('alc_00000001', exited);

    expect(bench.workload).toMatchObject({ phase: 'starting', allocation: 'alc_00000002' });
  });
});
