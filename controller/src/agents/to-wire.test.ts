import type { AllocationId, NodeName } from '@astrago/shared/domain/ids';
import { expect, it } from 'vitest';
import type { AllocatedDevice } from '#core/cluster/records';
import { h100, sampleCluster, sampleGpuUuid, sampleWorkload } from '#core/cluster/sample-cluster';
import { desiredState } from '../app/desired-state.ts';
import { orderToWire } from './to-wire.ts';

const node = 'a' as NodeName;
const gpu = sampleGpuUuid(node, 0);

/** What the node is told when one workload holds `device`, on a GPU that is ordered whole. */
function toldOf(device: AllocatedDevice) {
  const cluster = sampleCluster([{ name: node, gpus: [h100] }]);
  const workload = sampleWorkload(1, { kind: 'none' }, { phase: 'starting', devices: [device] });
  const { workspace } = workload;
  const units = { compute: 0, memory: 0 };
  const record = {
    id: 'alc_00000001' as AllocationId,
    workload: workload.id,
    workspace,
    node,
    devices: [device],
    units,
    cpuMilli: 0,
    memoryMiB: 0,
  };
  cluster.apply({ kind: 'workload', record: workload });
  cluster.apply({ kind: 'layout', record: { gpu, node, layout: { kind: 'whole' }, pinned: false } });
  cluster.apply({ kind: 'allocation', record: { ...record, intent: 'run' } });
  const { desired } = orderToWire({ epoch: 1, generation: 1, content: desiredState(cluster, node) }, undefined);
  return { layout: desired?.gpus[0]?.layout.case, device: desired?.allocations[0]?.devices[0] };
}

it.each([
  ['whole', undefined, undefined, null],
  ['as an MPS share with its memory', { by: 'mps', milli: 300, memoryMiB: 10_240 }, 'mps', { milli: 300, memoryMib: 10_240 }],
  ['as an MPS share of a GPU whose memory is not known', { by: 'mps', milli: 300, memoryMiB: undefined }, 'mps', { milli: 300 }],
  ['in turns', { by: 'time-slicing', milli: 500, memoryMiB: 9 }, 'timeSliced', { milli: 500 }],
] as const)('a GPU that is held %s is ordered so, in one piece', (_, share, kind, value) => {
  const { layout, device } = toldOf({ gpu, slice: undefined, ...(share === undefined ? {} : { share }) });

  expect(layout).toBe('whole');
  expect(device?.gpuUuid).toBe(gpu);
  expect(device?.slice).toBeUndefined();
  expect(device?.share.case).toBe(kind);
  // What is not said must not arrive as a zero.
  expect(JSON.parse(JSON.stringify(device?.share.value ?? null))).toEqual(
    value === null ? null : { ...value, $typeName: expect.any(String) },
  );
});
