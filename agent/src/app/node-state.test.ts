import { type GpuUuid, parseGpuUuid } from '@astrago/shared/domain/ids';
import { parseProfileName } from '@astrago/shared/domain/mig/profile';
import { beforeEach, describe, expect, it } from 'vitest';
import { NodeState } from './node-state.ts';
import { DriverFault, type ObservedGpu } from './ports.ts';

const uuid = parseGpuUuid('GPU-00000000-0000-0000-0000-000000000001') as GpuUuid;
const profile = parseProfileName('3g.40gb');
if (profile === undefined) throw new Error('no profile');

const cut: ObservedGpu = {
  uuid,
  index: 0,
  model: 'NVIDIA H100 80GB HBM3',
  pciBusId: '00000000:01:00.0',
  memoryMiB: 81559,
  migCapable: true,
  migEnabled: true,
  migPending: undefined,
  profiles: [],
  slices: [{ profile, start: 4, size: 4, gpuInstanceId: 2, computeInstanceId: 0, migUuid: 'MIG-1' }],
};
const fault = new DriverFault('timed-out', { command: ['mig', '-lgi'] });
const withoutSlices: ObservedGpu = { ...cut, slices: [], shortfall: { faults: [fault], unplaced: [] } };

let state: NodeState;
beforeEach(() => {
  state = new NodeState(() => 1);
});

const kinds = (): readonly string[] => state.inventory.current?.conditions.get(uuid)?.map(({ kind }) => kind) ?? [];

describe('a GPU whose slices could not be listed', () => {
  it('is shown with the reason, and is none to who cuts', () => {
    state.setAll('590.1', [withoutSlices], state.moment);

    expect(state.inventory.current?.gpus).toEqual([withoutSlices]);
    expect(kinds()).toEqual(['driver-hung']);
    expect(state.gpu(uuid)).toBeUndefined();
    expect(state.isMissing(uuid)).toBe(false);
  });

  it('keeps the slices that it was listed with, and is as it is listed in full again', () => {
    state.setAll('590.1', [cut], state.moment);
    state.setAll('590.1', [withoutSlices], state.moment);
    expect(state.gpu(uuid)).toEqual(cut);
    expect(kinds()).toEqual(['driver-hung']);

    state.setAll('590.1', [{ ...cut, slices: [] }], state.moment);
    expect(state.gpu(uuid)?.slices).toEqual([]);
    expect(kinds()).toEqual([]);
  });

  it('does not keep what it was before its mode changed', () => {
    state.setAll('590.1', [{ ...cut, migEnabled: false, slices: [] }], state.moment);
    state.setAll('590.1', [withoutSlices], state.moment);
    expect(state.gpu(uuid)).toBeUndefined();
  });

  it('is not the same as one of which only the profiles are not known', () => {
    const short: ObservedGpu = { ...cut, shortfall: { faults: [new DriverFault('failed', { command: ['mig', '-lgip'] })] } };
    state.setAll('590.1', [short], state.moment);
    expect(state.gpu(uuid)).toEqual(short);
    expect(kinds()).toEqual(['listing-unreadable']);
  });

  it('and is told to be lost, is missing', () => {
    state.setAll('590.1', [{ ...cut, shortfall: { faults: [new DriverFault('gpu-lost', { command: ['-q', '-x'] })] } }], state.moment);
    expect(state.isMissing(uuid)).toBe(true);
    expect(kinds()).toEqual(['gpu-lost']);
  });
});
