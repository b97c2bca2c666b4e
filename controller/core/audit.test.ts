import type { AllocationId } from '@astrago/shared/domain/ids';
import { describe, expect, it } from 'vitest';
import { auditInvariants } from './audit.ts';
import type { Cluster } from './cluster/cluster.ts';
import type { AllocatedDevice, DeviceShare, Gang } from './cluster/records.ts';
import { h100, sampleCluster, sampleGpuUuid, sampleWorkload, slice, whole } from './cluster/sample-cluster.ts';

const gpu = sampleGpuUuid('a', 0);

/** Each held by a workload of its own. */
function holding(devices: readonly Omit<AllocatedDevice, 'gpu'>[]): Cluster {
  const cluster = sampleCluster([{ name: 'a', gpus: [h100] }]);
  for (const [at, device] of devices.entries()) {
    const { id, workspace } = sampleWorkload(at + 1, whole(1));
    const allocation = `alc_${at}` as AllocationId;
    cluster.apply({ kind: 'workload', record: sampleWorkload(at + 1, whole(1), { phase: 'running', allocation }) });
    const node = cluster.gpu(gpu)?.node ?? expect.unreachable();
    const none = { cpuMilli: 0, memoryMiB: 0, units: { compute: 0.1, memory: 0.2 } };
    cluster.apply({
      kind: 'allocation',
      record: { id: allocation, workload: id, workspace, node, devices: [{ gpu, ...device }], intent: 'run', ...none },
    });
    cluster.apply({ kind: 'layout', record: { gpu, node, pinned: false, layout: { kind: 'whole' } } });
  }
  return cluster;
}

const share = (milli: number, memoryMiB: number, by: DeviceShare['by'] = 'mps'): Omit<AllocatedDevice, 'gpu'> => ({
  slice: undefined,
  share: { by, milli, memoryMiB },
});
const i1 = (cluster: Cluster): readonly string[] =>
  auditInvariants(cluster).flatMap(({ invariant, text }) => (invariant === 'I1' ? [text] : []));

describe('the audit', () => {
  it('has nothing against shares that add up to one GPU, nor against the dust of their fractions', () => {
    expect(auditInvariants(holding([share(300, 20_000), share(300, 20_000), share(400, 41_559)]))).toEqual([]);
  });

  it.each([
    ['compute promised twice', [share(600, 1), share(401, 1)], [`1001 thousandths of ${gpu} are promised`]],
    ['memory promised twice', [share(1, 41_559), share(1, 40_001)], [`81560 MiB of ${gpu} are promised, and it has 81559`]],
    ['two ways of sharing', [share(1, 1), share(1, 1, 'time-slicing')], [`${gpu} is shared in two ways at once`]],
    ['a share of a whole one', [share(1, 1), { slice: undefined }], [`${gpu} is held whole and by others: alc_0, alc_1`]],
    [
      'a share of a cut one',
      [share(1, 1), { slice: { profile: '1g.10gb' as never, start: 0 } }],
      [`${gpu} is shared and cut at once: alc_0, alc_1`],
    ],
    ['two whole ones', [{ slice: undefined }, { slice: undefined }], [`${gpu} is held whole and by others: alc_0, alc_1`]],
  ])('finds %s', (_name, devices, texts) => {
    expect(i1(holding(devices))).toEqual(texts);
  });

  it('finds a gang of which too few run, unless a member has ended or queues again', () => {
    const gang: Gang = { name: 'g', least: 2, members: 2 };
    const cluster = sampleCluster([{ name: 'a', gpus: [h100] }]);
    const found = (): readonly string[] => auditInvariants(cluster).flatMap(({ invariant, text }) => (invariant === 'gang' ? [text] : []));
    cluster.apply({ kind: 'workload', record: sampleWorkload(1, slice('1g.10gb'), { gang, phase: 'running' }) });
    expect(found()).toEqual([]);
    cluster.apply({ kind: 'workload', record: sampleWorkload(2, slice('1g.10gb'), { gang }) });
    expect(found()).toEqual(['1 of gang default/g are placed, and 2 must start at once']);
    cluster.apply({ kind: 'workload', record: sampleWorkload(2, slice('1g.10gb'), { gang, attempts: 1 }) });
    expect(found()).toEqual([]);
  });
});
