import type { AllocationId, NodeName, WorkloadId } from '@astrago/shared/domain/ids';
import { describe, expect, it } from 'vitest';
import type { AllocationRecord, Phase } from '#core/cluster/records';
import { h100, observedNode, sampleCluster, sampleGpuUuid, sampleWorkload, slice } from '#core/cluster/sample-cluster';
import { HandClock } from '../testing/hand-clock.ts';
import { OpenedStore } from '../testing/opened-store.ts';
import { Fleet } from './fleet.ts';
import { Journal } from './journal.ts';

const node = 'node-1' as NodeName;
const gpu = sampleGpuUuid(node, 0);
const inventory = {
  ...observedNode({ name: node, gpus: [h100] }),
  bootId: 'boot-1',
  agentVersion: '1',
  driverVersion: '590',
};

/** One node that has reported, with one workload on it that is in `phase`. */
class FleetBench implements Disposable {
  readonly clock = new HandClock();
  readonly opened = new OpenedStore();
  readonly cluster = sampleCluster([]);
  readonly commits: number[] = [];
  readonly fleet: Fleet;

  constructor(phase: Phase = 'running') {
    const workload = sampleWorkload(1, slice('3g.40gb'), { phase, node, allocation: 'alc_00000001' as AllocationId });
    const allocation: AllocationRecord = {
      id: 'alc_00000001' as AllocationId,
      workload: workload.id,
      workspace: workload.workspace,
      node,
      devices: [],
      units: { compute: 3, memory: 4 },
      cpuMilli: 0,
      memoryMiB: 0,
      intent: phase === 'stopping' ? 'stop' : 'run',
    };
    this.cluster.apply({ kind: 'workload', record: workload });
    this.cluster.apply({ kind: 'allocation', record: allocation });
    this.cluster.keep();
    const journal = new Journal({
      cluster: this.cluster,
      store: this.opened.store,
      nowMs: this.clock.nowMs,
      onCommitted: (changes) => this.commits.push(changes.length),
      onLeadershipLost: () => undefined,
    });
    this.fleet = new Fleet({
      cluster: this.cluster,
      journal,
      clock: this.clock,
      unreachableAfterMs: 10_000,
      lostAfterMs: 60_000,
      onChanged: () => undefined,
      log: () => undefined,
    });
    this.fleet.inventory(node, inventory);
  }

  get state(): string | undefined {
    return this.cluster.observed.get(node)?.state;
  }

  /** Lets time pass as the health loop sees it pass. */
  async silence(ms: number): Promise<void> {
    await this.fleet.checkHealth();
    for (let passed = 0; passed < ms; passed += 500) {
      await this.clock.advance(500);
      await this.fleet.checkHealth();
    }
  }

  [Symbol.dispose](): void {
    this.opened[Symbol.dispose]();
  }
}

describe('a node that falls silent', () => {
  it('is unreachable after its time, and ready again when it is heard', async () => {
    using bench = new FleetBench();

    await bench.silence(9500);
    expect(bench.state).toBe('ready');
    await bench.silence(500);
    expect(bench.state).toBe('unreachable');
    await bench.fleet.heartbeat(node, '10.0.0.1:8000', 'boot-1');

    expect(bench.state).toBe('ready');
  });

  it('has no readings any more', async () => {
    using bench = new FleetBench();
    bench.fleet.readings.set(gpu, {
      gpu,
      observedAtMs: 1,
      utilizationRatio: 0.5,
      memoryUsedMiB: 1,
      temperatureCelsius: 30,
      powerWatts: 70,
    });

    await bench.silence(10_000);

    expect(bench.fleet.readings.get(gpu)).toBeUndefined();
  });

  it.each(['starting', 'running', 'stopping'] as const)('loses its %s work in the end, and keeps the places taken', async (phase) => {
    using bench = new FleetBench(phase);

    await bench.silence(59_500);
    expect(bench.cluster.workloads.size).toBe(1);
    await bench.silence(500);

    expect(bench.opened.store.findWorkload('w1', undefined)).toMatchObject({
      phase: 'failed',
      endReason: 'node-lost',
      detail: 'node node-1 did not answer for 60 s',
    });
    expect([...bench.cluster.allocations.values()]).toMatchObject([{ intent: 'stop' }]);
  });

  it('does not end work that was just being evicted: that queues again, and the places stay taken', async () => {
    using bench = new FleetBench('stopping');
    const [workload] = [...bench.cluster.workloads.values()];
    if (workload === undefined) throw new Error('the bench has a workload');
    const eviction = { cause: 'moved', beneficiary: 'wkl_00000009' as WorkloadId, node: 'a' as NodeName, atMs: 0, count: 1 } as const;
    bench.cluster.apply({ kind: 'workload', record: { ...workload, eviction } });
    bench.cluster.keep();

    await bench.silence(70_000);

    expect(bench.opened.store.findWorkload('w1', undefined)).toMatchObject({ phase: 'queued', eviction });
    expect([...bench.cluster.allocations.values()]).toMatchObject([{ intent: 'stop' }]);
    expect(bench.commits).toHaveLength(1);
  });

  it('is given up once', async () => {
    using bench = new FleetBench();

    await bench.silence(70_000);

    expect(bench.commits).toHaveLength(1);
  });

  it('is not blamed while the controller itself stood still', async () => {
    using bench = new FleetBench();
    await bench.silence(1000);

    await bench.clock.advance(120_000);
    await bench.fleet.checkHealth();

    expect(bench.state).toBe('ready');
    await bench.silence(9000);
    expect(bench.state).toBe('unreachable');
  });
});

describe('a node that is heard and cannot be reached', () => {
  const obstacle = '14 UNAVAILABLE: No connection established';

  /** It goes on telling that it lives. */
  async function beating(bench: FleetBench, ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 5000) {
      await bench.fleet.heartbeat(node, '10.0.0.1:8000', 'boot-1');
      await bench.silence(Math.min(5000, ms - passed));
    }
  }

  it('is not ready after a while, with the reason, whatever its heartbeats say', async () => {
    using bench = new FleetBench();
    bench.fleet.watched(node, obstacle);
    await beating(bench, 9000);
    expect(bench.state).toBe('ready');
    await beating(bench, 1000);

    expect(bench.state).toBe('unreachable');
    expect(bench.cluster.observed.get(node)?.stateDetail).toBe(`it is heard, but cannot be reached at its address: ${obstacle}`);
    await beating(bench, 120_000);
    expect(bench.state).toBe('unreachable');
    // It lives, and so may its work.
    expect(bench.cluster.workloads.size).toBe(1);
  });

  it('is ready as soon as it is watched again', async () => {
    using bench = new FleetBench();
    bench.fleet.watched(node, obstacle);
    await beating(bench, 20_000);
    bench.fleet.watched(node, undefined);

    expect(bench.state).toBe('ready');
    expect(bench.cluster.observed.get(node)?.stateDetail).toBeUndefined();
    await beating(bench, 20_000);
    expect(bench.state).toBe('ready');
  });

  it('is not blamed for a connection that breaks and is back in time, however often', async () => {
    using bench = new FleetBench();
    for (let round = 0; round < 10; round += 1) {
      bench.fleet.watched(node, obstacle);
      await beating(bench, 8000);
      bench.fleet.watched(node, undefined);
    }
    expect(bench.state).toBe('ready');
  });
});

describe('a heartbeat', () => {
  it('is stored when it says something new, and once', async () => {
    using bench = new FleetBench();

    await Promise.all([bench.fleet.heartbeat(node, '10.0.0.1:8000', 'boot-1'), bench.fleet.heartbeat(node, '10.0.0.1:8000', 'boot-1')]);
    await bench.fleet.heartbeat(node, '10.0.0.1:8000', 'boot-1');
    expect(bench.commits).toEqual([1]);
    await bench.fleet.heartbeat(node, '10.0.0.2:8000', 'boot-1');

    expect(bench.commits).toEqual([1, 1]);
    expect(bench.opened.store.load().nodes).toEqual([{ name: node, address: '10.0.0.2:8000', bootId: 'boot-1', cordoned: false }]);
  });

  it('leaves what people have said of the node as it is', async () => {
    using bench = new FleetBench();
    const said = { labels: { rack: 'r1' }, taints: ['maintenance', 'team=a'], cordoned: true };
    bench.cluster.apply({ kind: 'node', record: { name: node, address: '10.0.0.1:8000', bootId: 'boot-1', ...said } });
    bench.cluster.keep();

    await bench.fleet.heartbeat(node, '10.0.0.2:8000', 'boot-2');

    const after = { name: node, address: '10.0.0.2:8000', bootId: 'boot-2', ...said };
    expect(bench.cluster.nodes.get(node)).toEqual(after);
    expect(bench.opened.store.load().nodes).toEqual([after]);
  });

  it('shows a node that has joined and not reported yet', async () => {
    using bench = new FleetBench();
    const newcomer = 'node-2' as NodeName;

    await bench.fleet.heartbeat(newcomer, '10.0.0.2:8000', 'boot-2');

    expect(bench.cluster.observed.get(newcomer)?.state).toBe('joining');
  });
});
