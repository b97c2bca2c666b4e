import type { AllocationId } from '@astrago/shared/domain/ids';
import { isLegal } from '@astrago/shared/domain/mig/layout';
import type { ProfileName } from '@astrago/shared/domain/mig/profile';
import { type LayoutRequest, parseLayoutRequest } from '@astrago/shared/domain/mig/request';
import { formatSlice, parseSlice, type WantedSlice } from '@astrago/shared/domain/mig/slice';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Cluster } from '../cluster/cluster.ts';
import { h100, h100Grid, l40s, sampleCluster, sampleGpuUuid, sampleWorkload, slice, whole } from '../cluster/sample-cluster.ts';
import { planLayout } from './plan.ts';

const gpu = sampleGpuUuid('a', 0);

function request(text: string): LayoutRequest {
  const parsed = parseLayoutRequest(text);
  if (parsed.kind !== 'request') throw new Error(parsed.hint);
  return parsed.request;
}

function slices(text: string): readonly WantedSlice[] {
  return text === '' ? [] : text.split(',').map((part) => parseSlice(part) ?? expect.unreachable(part));
}

/** One H100 cut as `ordered`, of which `held` are in use by w1, w2, ... */
function clusterWith(ordered: string, held: string): Cluster {
  const cluster = sampleCluster([{ name: 'a', gpus: [h100, l40s] }]);
  const node = cluster.gpu(gpu)?.node ?? expect.unreachable();
  cluster.apply({ kind: 'layout', record: { gpu, node, pinned: false, layout: { kind: 'mig', slices: slices(ordered) } } });
  for (const [index, wanted] of slices(held).entries()) {
    const id = `alc_0000000${index + 1}` as AllocationId;
    const workload = sampleWorkload(index + 1, slice(wanted.profile), { phase: 'running', allocation: id });
    cluster.apply({ kind: 'workload', record: workload });
    cluster.apply({
      kind: 'allocation',
      record: {
        id,
        workload: workload.id,
        workspace: workload.workspace,
        node,
        devices: [{ gpu, slice: wanted }],
        units: { compute: 1, memory: 1 },
        cpuMilli: 0,
        memoryMiB: 0,
        intent: 'run',
      },
    });
  }
  cluster.keep();
  return cluster;
}

describe('planLayout', () => {
  it('keeps a used slice where it is and finds places for the rest', () => {
    const answer = planLayout(clusterWith('1g.10gb@6,2g.20gb@0', '1g.10gb@6'), gpu, request('3g.40gb,1g.10gb*3'));

    expect(answer).toMatchObject({ kind: 'plan', modeChange: 'none' });
    if (answer.kind !== 'plan' || answer.layout.kind !== 'mig') return expect.unreachable();
    expect(answer.keep.map((kept) => [formatSlice(kept), kept.workload])).toEqual([['1g.10gb@6', 'w1']]);
    expect(answer.destroy.map(formatSlice)).toEqual(['2g.20gb@0']);
    expect(answer.layout.slices.map(formatSlice)).toEqual(['3g.40gb@0', '1g.10gb@4', '1g.10gb@5', '1g.10gb@6']);
  });

  it('refuses by name when a used slice stands in the way', () => {
    expect(planLayout(clusterWith('1g.10gb@0,1g.10gb@6', '1g.10gb@0,1g.10gb@6'), gpu, request('4g.40gb,1g.10gb*3'))).toMatchObject({
      kind: 'blocked',
      blockers: ['w1'],
    });
    expect(planLayout(clusterWith('2g.20gb@0', '2g.20gb@0'), gpu, request('3g.40gb'))).toMatchObject({ kind: 'blocked', blockers: ['w1'] });
    expect(planLayout(clusterWith('2g.20gb@0', '2g.20gb@0'), gpu, request('whole'))).toMatchObject({ kind: 'blocked', blockers: ['w1'] });
  });

  it('tells what the device cannot do from what is in the way', () => {
    const cluster = clusterWith('', '');
    expect(planLayout(cluster, gpu, request('4g.40gb*2'))).toMatchObject({ kind: 'impossible' });
    expect(planLayout(cluster, gpu, request('3g.40gb@2'))).toEqual({
      kind: 'impossible',
      text: '3g.40gb can start only at 0, 4, not at 2',
    });
    expect(planLayout(cluster, gpu, request('3g.20gb'))).toMatchObject({
      kind: 'impossible',
      text: expect.stringContaining('it offers 1g.10gb'),
    });
    expect(planLayout(cluster, sampleGpuUuid('a', 1), request('1g.10gb'))).toMatchObject({ kind: 'impossible' });
  });

  it('is blocked by a workload on the whole GPU', () => {
    const cluster = clusterWith('', '');
    const node = cluster.gpu(gpu)?.node ?? expect.unreachable();
    const id = 'alc_00000009' as AllocationId;
    const workload = sampleWorkload(9, whole(1), { phase: 'running', allocation: id });
    cluster.apply({ kind: 'workload', record: workload });
    cluster.apply({
      kind: 'allocation',
      record: {
        id,
        workload: workload.id,
        workspace: workload.workspace,
        node,
        devices: [{ gpu, slice: undefined }],
        units: { compute: 7, memory: 8 },
        cpuMilli: 0,
        memoryMiB: 0,
        intent: 'run',
      },
    });

    expect(planLayout(cluster, gpu, request('1g.10gb'))).toMatchObject({ kind: 'blocked', blockers: ['w9'] });
  });

  it('plans only legal layouts that hold what was asked and everything in use', () => {
    const names = fc.array(fc.constantFrom(...h100Grid.profiles.map((profile) => profile.name)), { maxLength: 7 });
    const heldSets = fc.constantFrom('', '1g.10gb@0', '3g.40gb@4', '2g.20gb@2,1g.10gb@6', '4g.40gb@0', '1g.20gb@6,1g.10gb@1');
    fc.assert(
      fc.property(names, heldSets, (anywhere: ProfileName[], held) => {
        const answer = planLayout(clusterWith(held, held), gpu, { kind: 'mig', fixed: [], anywhere });
        if (answer.kind !== 'plan' || answer.layout.kind !== 'mig') return;
        const planned = answer.layout.slices;
        expect(isLegal(h100Grid, planned)).toBe(true);
        expect(planned.map((one) => one.profile).sort()).toEqual([...anywhere].sort());
        for (const kept of slices(held)) expect(planned).toContainEqual(kept);
      }),
    );
  });
});
