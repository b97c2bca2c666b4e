import type { AllocationId, NodeName, WorkspaceName } from '@astrago/shared/domain/ids';
import { describe, expect, it } from 'vitest';
import type { Cluster } from '../cluster/cluster.ts';
import type { ObservedNode } from '../cluster/observed.ts';
import type { AllocationRecord, GpuAsk } from '../cluster/records.ts';
import { a30, h100, l40s, sampleCluster, sampleGpuUuid, sampleWorkload, slice, whole } from '../cluster/sample-cluster.ts';
import { demandOf } from './demand.ts';
import { planGreedily } from './greedy.ts';
import { lintPlan } from './lint.ts';
import type { Movability } from './pool.ts';
import { poolModels, poolOf, waitingFor } from './pool-of.ts';

const restart: Movability = { kind: 'restart', lostSeconds: 60 };
const reading = { isSettling: () => false, movability: () => restart };
const gpu = sampleGpuUuid('a', 0);
const small = () =>
  sampleCluster([
    { name: 'b', gpus: [a30] },
    { name: 'a', gpus: [h100, h100, l40s], cpuMilli: 8000, memoryMiB: 500 },
  ]);

function hold(
  cluster: Cluster,
  ask: GpuAsk,
  device: AllocationRecord['devices'][number],
  intent: AllocationRecord['intent'] = 'run',
): void {
  const sequence = cluster.allocations.size + 1;
  const id = `alc_${String(sequence).padStart(8, '0')}` as AllocationId;
  const workload = sampleWorkload(sequence, ask, { phase: 'running', allocation: id });
  cluster.apply({ kind: 'workload', record: workload });
  const node = cluster.gpu(device.gpu)?.node ?? expect.unreachable();
  const units = { compute: 1, memory: 1 };
  const record = {
    id,
    workload: workload.id,
    workspace: workload.workspace,
    node,
    devices: [device],
    units,
    cpuMilli: 3000,
    memoryMiB: 100,
    intent,
  };
  cluster.apply({ kind: 'allocation', record });
}

function condition(cluster: Cluster, change: (node: ObservedNode) => Partial<ObservedNode>): void {
  const node = cluster.observed.get('a' as NodeName) ?? expect.unreachable();
  cluster.apply({ kind: 'observed-node', node: { ...node, ...change(node) } });
}

const standings = (cluster: Cluster, of = reading) => poolOf(cluster, h100.model, of).gpus.map(({ standing }) => standing);

describe('the pool of a model', () => {
  it('is every GPU of that model, with what its nodes have left', () => {
    const cluster = small();
    hold(cluster, slice('1g.10gb'), { gpu, slice: { profile: '1g.10gb', start: 6 } as never });
    expect(poolModels(cluster)).toEqual([a30.model, h100.model, l40s.model]);
    const pool = poolOf(cluster, h100.model, reading);
    expect(pool.nodes).toEqual([{ name: 'a', freeCpuMilli: 5000, freeMemoryMiB: 400 }]);
    expect(pool.gpus.map(({ uuid }) => uuid)).toEqual([gpu, sampleGpuUuid('a', 1)]);
    expect(pool.gpus[0]?.used).toEqual([
      { profile: '1g.10gb', start: 6, workload: 'wkl_00000001', move: restart, cpuMilli: 3000, memoryMiB: 100 },
    ]);
  });

  it('knows who holds a GPU in one piece, and moves nobody who is ending', () => {
    const cluster = small();
    hold(cluster, whole(1), { gpu, slice: undefined });
    hold(cluster, slice('1g.10gb'), { gpu: sampleGpuUuid('a', 1), slice: { profile: '1g.10gb', start: 6 } as never }, 'stop');
    expect(poolOf(cluster, h100.model, reading).gpus).toMatchObject([
      { usedWhole: true, used: [] },
      { usedWhole: false, used: [{ move: { kind: 'stays' } }] },
    ]);
  });

  it('leaves alone what is pinned, ails, is cut by others, was cut a moment ago, or is on a closed node', () => {
    const pinned = small();
    pinned.apply({ kind: 'layout', record: { gpu, node: 'a' as NodeName, layout: { kind: 'mig', slices: [] }, pinned: true } });
    expect(standings(pinned)).toEqual(['pinned', 'open']);
    const ailing = small();
    const ailment = { kind: 'xid-needs-reset', detail: 'Xid 79', sinceMs: 0 } as never;
    condition(ailing, (node) => ({ gpus: node.gpus.map((one) => (one.uuid === gpu ? { ...one, conditions: [ailment] } : one)) }));
    expect(standings(ailing)).toEqual(['ailing', 'open']);
    const other = small();
    condition(other, () => ({ conditions: [{ kind: 'other-mig-manager', detail: 'nvidia-mig-manager', sinceMs: 0 } as never] }));
    expect(standings(other)).toEqual(['cut-by-other', 'cut-by-other']);
    expect(standings(small(), { ...reading, isSettling: ({ uuid }: { uuid: string }) => uuid === gpu } as never)).toEqual([
      'settling',
      'open',
    ]);
    const cordoned = small();
    cordoned.apply({ kind: 'node', record: { name: 'a' as NodeName, address: undefined, cordoned: true, bootId: undefined } });
    expect(standings(cordoned)).toEqual(['closed', 'closed']);
    const silent = small();
    condition(silent, () => ({ state: 'unreachable' }));
    expect(standings(silent)).toEqual(['closed', 'closed']);
  });

  it('is wanted by what waits and fits its model', () => {
    const cluster = small();
    const asks = [slice('3g.40gb'), slice('1g.6gb'), whole(2), { kind: 'none' } as const];
    for (const [index, ask] of asks.entries()) cluster.apply({ kind: 'workload', record: sampleWorkload(index + 1, ask) });
    cluster.apply({ kind: 'workload', record: sampleWorkload(9, whole(1), { model: 'a30' }) });
    const wants = (model: string) => waitingFor(cluster, poolOf(cluster, model, reading)).map(({ want, units }) => [want, units]);
    expect(wants(h100.model)).toEqual([
      [{ kind: 'slice', profile: '3g.40gb' }, 4],
      [{ kind: 'whole', gpus: 2 }, 16],
    ]);
    expect(wants(a30.model)).toEqual([
      [{ kind: 'slice', profile: '1g.6gb' }, 1],
      [{ kind: 'whole', gpus: 2 }, 8],
      [{ kind: 'whole', gpus: 1 }, 4],
    ]);
  });

  it('is wanted only as far as the limit of a workspace goes', () => {
    const cluster = small();
    cluster.apply({ kind: 'workspace', record: { name: 'default' as WorkspaceName, limit: { compute: 5, memory: undefined } } });
    for (const sequence of [1, 2, 3]) cluster.apply({ kind: 'workload', record: sampleWorkload(sequence, slice('2g.20gb')) });
    expect(waitingFor(cluster, poolOf(cluster, h100.model, reading))).toHaveLength(2);
  });

  it('is planned from, and the plan passes the lint', () => {
    const cluster = small();
    for (const sequence of [1, 2]) cluster.apply({ kind: 'workload', record: sampleWorkload(sequence, slice('3g.40gb')) });
    const pool = poolOf(cluster, h100.model, reading);
    const demand = demandOf({ queue: waitingFor(cluster, pool), history: [], nowMs: 0, halfLifeMs: 1 });
    const plan = planGreedily(pool, demand);
    expect(plan).toMatchObject({ changes: [{}], claims: [{}, {}] });
    expect(lintPlan(pool, demand, plan)).toEqual([]);
  });
});
