import type { AllocationId, NodeName, WorkloadId, WorkspaceName } from '@astrago/shared/domain/ids';
import { describe, expect, it } from 'vitest';
import type { AllocationRecord, WorkloadRecord } from '#core/cluster/records';
import { h100, observedNode, sampleCluster, sampleGpuUuid, sampleWorkload, slice } from '#core/cluster/sample-cluster';
import { gpuView, nodeView } from './views.ts';
import { WaitingReasons } from './waiting.ts';
import { workloadView } from './work-views.ts';
import { workspaceViews } from './workspace-views.ts';

const node = 'a' as NodeName;
const gpu = sampleGpuUuid(node, 0);
const waiting = new WaitingReasons(sampleCluster([]));

function allocationFor(workload: WorkloadRecord, more: Partial<AllocationRecord> = {}): AllocationRecord {
  const { id, workspace, devices } = workload;
  const units = { compute: 2, memory: 3 };
  return {
    id: workload.allocation ?? ('alc_00000001' as AllocationId),
    workload: id,
    workspace,
    node,
    devices,
    units,
    cpuMilli: 1000,
    memoryMiB: 64,
    intent: 'run',
    ...more,
  };
}

describe('a shared GPU', () => {
  const share = (sequence: number, by: 'mps' | 'time-slicing', milli: number, memoryMiB: number | undefined): WorkloadRecord =>
    sampleWorkload(
      sequence,
      { kind: 'share', by, milli, memoryMiB },
      {
        phase: 'running',
        node,
        allocation: `alc_0000000${sequence}` as AllocationId,
        devices: [{ gpu, slice: undefined, share: { by, milli, memoryMiB } }],
      },
    );

  function shared(workloads: readonly WorkloadRecord[]) {
    const cluster = sampleCluster([{ name: node, gpus: [h100] }]);
    for (const record of workloads) {
      cluster.apply({ kind: 'workload', record });
      cluster.apply({ kind: 'allocation', record: allocationFor(record) });
    }
    return cluster;
  }

  it('shows who holds how much of it, and that nobody holds it whole', () => {
    const cluster = shared([share(1, 'mps', 300, 10_240), share(2, 'mps', 200, undefined)]);

    const view = gpuView(cluster, cluster.gpu(gpu) ?? expect.unreachable(), undefined);

    expect(view.workload).toBeUndefined();
    expect(view.shares).toEqual([
      { workload: 'w1', by: 'mps', milli: 300, memoryMiB: 10_240, enforcement: 'driver' },
      { workload: 'w2', by: 'mps', milli: 200, memoryMiB: undefined, enforcement: 'driver' },
    ]);
  });

  it('is shown with the work that holds a share, and what keeps that to it', () => {
    const turns = share(1, 'time-slicing', 500, undefined);

    expect(workloadView(shared([turns]), waiting, turns)).toMatchObject({
      share: { by: 'time-slicing', milli: 500 },
      devices: [{ gpuUuid: gpu, gpuIndex: 0, share: { by: 'time-slicing', milli: 500 } }],
      enforcement: 'advisory',
    });
  });

  it('that one holds whole has no shares', () => {
    const whole = sampleWorkload(1, { kind: 'whole', count: 1 }, { phase: 'running', devices: [{ gpu, slice: undefined }] });
    const cluster = shared([whole]);

    expect(gpuView(cluster, cluster.gpu(gpu) ?? expect.unreachable(), undefined)).toMatchObject({ workload: 'w1', shares: [] });
  });
});

describe('running work', () => {
  const running = sampleWorkload(1, slice('1g.10gb'), {
    phase: 'running',
    allocation: 'alc_00000001' as AllocationId,
    startedAtMs: 5000,
    expectedSeconds: 90,
  });

  it('says when it should end, until it has', () => {
    const cluster = sampleCluster([]);

    expect(workloadView(cluster, waiting, running)).toMatchObject({ expectedSeconds: 90, expectedEndMs: 95_000 });
    const ended = workloadView(cluster, waiting, { ...running, phase: 'succeeded', endedAtMs: 6000 });
    expect([ended.expectedSeconds, ended.expectedEndMs]).toEqual([90, undefined]);
  });

  it('says whether it borrows, by its allocation', () => {
    const cluster = sampleCluster([]);
    cluster.apply({ kind: 'allocation', record: allocationFor(running, { borrowed: true }) });

    expect(workloadView(cluster, waiting, running).borrowed).toBe(true);
    expect(workloadView(sampleCluster([]), waiting, running).borrowed).toBeUndefined();
  });
});

describe('evicted work', () => {
  const eviction = { cause: 'preempted', beneficiary: 'wkl_00000002' as WorkloadId, node, atMs: 7, count: 2 } as const;
  const queued = sampleWorkload(1, slice('1g.10gb'), { eviction });

  it('says for whom it was stopped and how often', () => {
    expect(workloadView(sampleCluster([]), waiting, queued).eviction).toEqual(eviction);
  });
});

it('a node is shown with what people say of it', () => {
  const cluster = sampleCluster([{ name: node, gpus: [] }]);
  const observed = observedNode({ name: node, gpus: [] });
  expect(nodeView(cluster, observed, undefined)).toMatchObject({ labels: {}, taints: [] });

  const said = { labels: { rack: 'r1' }, taints: ['spot'] };
  cluster.apply({ kind: 'node', record: { name: node, address: undefined, cordoned: false, bootId: undefined, ...said } });

  expect(nodeView(cluster, observed, undefined)).toMatchObject(said);
});

it('a workspace is shown with its own use, and with that of all under it', () => {
  const cluster = sampleCluster([]);
  const limit = { compute: undefined, memory: undefined };
  const names = ['top', 'middle', 'leaf'] as WorkspaceName[];
  for (const [index, name] of names.entries())
    cluster.apply({ kind: 'workspace', record: { name, limit, ...(index === 0 ? {} : { parent: names[index - 1] }) } });
  for (const [index, workspace] of (['top', 'leaf', 'leaf'] as WorkspaceName[]).entries()) {
    const workload = sampleWorkload(index, slice('1g.10gb'), { workspace, allocation: `alc_0000000${index}` as AllocationId });
    cluster.apply({ kind: 'allocation', record: allocationFor(workload) });
  }

  const views = workspaceViews(cluster, [...cluster.workspaces.values()]);

  const times = (count: number) => ({ compute: 2 * count, memory: 3 * count, cpuMilli: 1000 * count, memoryMiB: 64 * count });
  expect(views.map(({ name, parent, used, usedWithChildren }) => [name, parent, used, usedWithChildren])).toEqual([
    ['default', undefined, times(0), times(0)],
    ['leaf', 'middle', times(2), times(2)],
    ['middle', 'top', times(0), times(2)],
    ['top', undefined, times(1), times(3)],
  ]);
});
