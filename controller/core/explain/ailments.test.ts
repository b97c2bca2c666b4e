import { type ConditionKind, conditionKinds, keepsWorkAway } from '@astrago/shared/domain/condition';
import type { AllocationId, NodeName } from '@astrago/shared/domain/ids';
import { parseProfileName } from '@astrago/shared/domain/mig/profile';
import { parseLayoutRequest } from '@astrago/shared/domain/mig/request';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Cluster } from '../cluster/cluster.ts';
import { allocationIds, h100, l40s, sampleCluster, sampleGpuUuid, sampleWorkload, slice, whole } from '../cluster/sample-cluster.ts';
import { planLayout } from '../repartition/plan.ts';
import { decide } from '../scheduling/decide.ts';
import { explain } from './explain.ts';

const [first, second] = [sampleGpuUuid('a', 0), sampleGpuUuid('a', 1)];

/** Gives a GPU of node a, or the node itself, these conditions and no others. */
function ail(cluster: Cluster, what: number | 'node', ...kinds: readonly ConditionKind[]): void {
  const node = cluster.observed.get('a' as NodeName) ?? expect.unreachable();
  const conditions = kinds.map((kind) => ({ kind, detail: 'so it is', sinceMs: 1 }));
  const gpus = node.gpus.map((gpu) => (gpu.index === what ? { ...gpu, conditions } : gpu));
  cluster.apply({ kind: 'observed-node', node: what === 'node' ? { ...node, conditions } : { ...node, gpus } });
  cluster.keep();
}

function queue(cluster: Cluster, ...asks: readonly ReturnType<typeof slice>[]): void {
  for (const [index, ask] of asks.entries()) cluster.apply({ kind: 'workload', record: sampleWorkload(index + 1, ask) });
  cluster.keep();
}

const placedOn = (cluster: Cluster): readonly string[] =>
  decide(cluster, { nextAllocationId: allocationIds(), nowMs: 0 }).binds.flatMap((bind) => bind.placement.devices.map(({ gpu }) => gpu));

const kinds = Object.keys(conditionKinds) as ConditionKind[];

describe('a GPU with a condition', () => {
  it('gets nothing new if the condition keeps work away, while the other GPUs of its node do', () => {
    fc.assert(
      fc.property(fc.constantFrom(...kinds), fc.constantFrom(slice('3g.40gb'), whole(1)), (kind, ask) => {
        const cluster = sampleCluster([{ name: 'a', gpus: [h100, h100] }]);
        ail(cluster, 0, kind);
        queue(cluster, ask, ask, ask);
        const placed = placedOn(cluster);
        expect(placed.includes(first)).toBe(!keepsWorkAway(kind));
        expect(placed).toContain(second);
      }),
    );
  });

  it('moves the next placement to another GPU of the node, and keeps what runs', () => {
    const cluster = sampleCluster([{ name: 'a', gpus: [h100, h100] }]);
    queue(cluster, slice('3g.40gb'));
    expect(placedOn(cluster)).toEqual([first]);
    const allocation = {
      id: 'alc_00000099' as AllocationId,
      ...{ workload: sampleWorkload(9, slice('3g.40gb')).id, workspace: sampleWorkload(9, slice('3g.40gb')).workspace },
      ...{ node: 'a' as NodeName, devices: [{ gpu: first, slice: { profile: '3g.40gb', start: 4 } as never }] },
      ...{ units: { compute: 3, memory: 4 }, cpuMilli: 0, memoryMiB: 0, intent: 'run' as const },
    };
    cluster.apply({ kind: 'allocation', record: allocation });
    ail(cluster, 0, 'xid-needs-reset');
    expect(placedOn(cluster)).toEqual([second]);
    expect(cluster.allocations.get(allocation.id)).toEqual(allocation);
    ail(cluster, 0);
    expect(placedOn(cluster)).toEqual([first]);
  });
});

describe('a node with a condition', () => {
  it('gets nothing at all if the condition keeps work away, and others do', () => {
    for (const kind of kinds) {
      const cluster = sampleCluster([
        { name: 'a', gpus: [h100] },
        { name: 'b', gpus: [h100] },
      ]);
      ail(cluster, 'node', kind);
      queue(cluster, slice('7g.80gb'), slice('7g.80gb'));
      const nodes = decide(cluster, { nextAllocationId: allocationIds(), nowMs: 0 }).binds.map(({ placement }) => placement.node);
      // Another manager keeps away only what would need a cut.
      expect(nodes.toSorted()).toEqual(keepsWorkAway(kind) || kind === 'other-mig-manager' ? ['b'] : ['a', 'b']);
    }
  });

  it('is named with what to do', () => {
    const cluster = sampleCluster([{ name: 'a', gpus: [h100] }]);
    ail(cluster, 'node', 'disk-full');
    queue(cluster, slice('1g.10gb'));
    const answer = explain(cluster, sampleWorkload(1, slice('1g.10gb')).id, 0);
    expect(answer?.reason).toBe('NodeUnhealthy');
    expect(answer?.sentence).toBe(
      'w1 waits for a 1g.10gb slice: the node has a condition that keeps work away (1 node has disk-full: see its detail). That is so for the 1 GPU looked at. It fits if a (disk-full: see its detail) is mended.',
    );
  });
});

describe('a node whose GPUs another program cuts', () => {
  it('gives what is cut already, cuts nothing, and says so', () => {
    const cluster = sampleCluster([{ name: 'a', gpus: [h100] }]);
    const node = cluster.observed.get('a' as NodeName);
    const [gpu] = node?.gpus ?? [];
    const profile = parseProfileName('3g.40gb');
    if (node === undefined || gpu === undefined || profile === undefined) return expect.unreachable();
    const live = { profile, start: 4, size: 4, gpuInstanceId: 1, computeInstanceId: 0, migUuid: 'MIG-1' };
    cluster.apply({ kind: 'layout', record: { gpu: gpu.uuid, node: node.name, pinned: false, layout: { kind: 'whole' } } });
    cluster.apply({ kind: 'observed-node', node: { ...node, gpus: [{ ...gpu, migEnabled: true, slices: [live] }] } });
    ail(cluster, 'node', 'other-mig-manager');
    queue(cluster, slice('3g.40gb'), slice('1g.10gb'));

    const { binds } = decide(cluster, { nextAllocationId: allocationIds(), nowMs: 0 });
    expect(binds.map(({ placement }) => [placement.devices, placement.layouts.map(({ layout }) => layout)])).toEqual([
      [[{ gpu: gpu.uuid, slice: { profile, start: 4 } }], [{ kind: 'mig', slices: [{ profile, start: 4 }] }]],
    ]);
    const answer = explain(cluster, sampleWorkload(2, slice('1g.10gb')).id, 0);
    expect(answer?.reason).toBe('CutByOther');
    expect(answer?.remedies.filter(({ kind }) => kind === 'mend')).toEqual([
      {
        kind: 'mend',
        things: [{ node: 'a', conditions: ['other-mig-manager'] }],
        text: 'fits if a (other-mig-manager: see its detail) is mended',
      },
    ]);
  });
});

describe('why', () => {
  it('names the conditions of GPUs that could hold it, what to do about each, and the GPUs that would be enough', () => {
    const cluster = sampleCluster([{ name: 'a', gpus: [h100, h100, h100, l40s] }]);
    ail(cluster, 0, 'xid-needs-reset', 'thermal-slowdown');
    ail(cluster, 1, 'xid-needs-reset');
    ail(cluster, 2, 'gpu-lost');
    ail(cluster, 3, 'ecc-uncorrectable');
    cluster.apply({ kind: 'workload', record: sampleWorkload(1, slice('3g.40gb'), { model: 'h100' }) });
    const answer = explain(cluster, sampleWorkload(1, slice('3g.40gb')).id, 0);

    expect(answer?.reason).toBe('DeviceUnhealthy');
    expect(answer?.counts.find(({ reason }) => reason === 'DeviceUnhealthy')).toEqual({
      reason: 'DeviceUnhealthy',
      count: 3,
      text: 'the GPU has a condition that keeps work away (2 GPUs have xid-needs-reset: reset it; 1 GPU has gpu-lost: reboot the node)',
    });
    expect(answer?.remedies).toEqual([
      expect.objectContaining({ kind: 'mend', text: 'fits if a/0 (xid-needs-reset: reset it) is mended' }),
      expect.objectContaining({ kind: 'mend', text: 'fits if a/1 (xid-needs-reset: reset it) is mended' }),
      expect.objectContaining({ kind: 'mend', text: 'fits if a/2 (gpu-lost: reboot the node) is mended' }),
    ]);
  });
});

describe('a repartition', () => {
  it('does not touch a GPU that the driver has lost, or that hangs', () => {
    const parsed = parseLayoutRequest('3g.40gb');
    if (parsed.kind !== 'request') return expect.unreachable();
    for (const kind of kinds) {
      const cluster = sampleCluster([{ name: 'a', gpus: [h100] }]);
      ail(cluster, 0, kind);
      const away = kind === 'gpu-lost' || kind === 'driver-hung';
      expect(planLayout(cluster, first, parsed.request)).toMatchObject(
        away ? { kind: 'impossible', text: `nothing is changed on a GPU with ${kind}: so it is` } : { kind: 'plan' },
      );
    }
  });
});
