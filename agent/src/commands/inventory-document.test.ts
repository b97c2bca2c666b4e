import { parseGpuUuid } from '@astrago/shared/domain/ids';
import { parseProfileName } from '@astrago/shared/domain/mig/profile';
import { describe, expect, it } from 'vitest';
import { gpuMeasures, sliceMeasures } from '#core/telemetry/sample';
import { NodeState, nodeKey } from '../app/node-state.ts';
import { DriverFault, type ObservedGpu } from '../app/ports.ts';
import { type InventoryState, inventoryDocument } from './inventory-document.ts';
import { inventoryTable } from './inventory-table.ts';
import { readingName } from './reading-names.ts';

const uuid = parseGpuUuid('GPU-00000000-0000-0000-0000-000000000001') as never;
const lostUuid = parseGpuUuid('GPU-00000000-0000-0000-0000-000000000002') as never;
const profile = parseProfileName('3g.40gb') as never;
const gib = 2 ** 30;

const cut: ObservedGpu = {
  uuid,
  index: 0,
  model: 'NVIDIA H100 80GB HBM3',
  pciBusId: '00000000:01:00.0',
  memoryMiB: 81559,
  migCapable: true,
  migEnabled: true,
  migPending: false,
  profiles: [{ name: profile, gpuInstanceProfileId: 9, computeSlices: 3, size: 4, starts: [0, 4], instancesMax: 2, memoryMiB: 40448 }],
  slices: [
    { profile, start: 0, size: 4, gpuInstanceId: 1, computeInstanceId: 0, migUuid: 'MIG-1' },
    { profile, start: 4, size: 4, gpuInstanceId: 2, computeInstanceId: undefined, migUuid: undefined },
  ],
};

function stateOf(change: (state: NodeState) => void, more: Partial<InventoryState> = {}): InventoryState {
  const state = new NodeState(() => 1);
  change(state);
  return { node: 'n', nowMs: 0, inventory: state.inventory.current, processes: [], samples: [], sliceSamples: [], ...more };
}

describe('the inventory document', () => {
  it('holds what is known of GPUs, slices and processes, and no key for what is not', () => {
    const state = stateOf((one) => one.setAll('590.48.01', [cut], one.moment), {
      processes: [
        {
          gpuUuid: uuid,
          gpuInstanceId: 1,
          computeInstanceId: 0,
          pid: 7,
          name: 'train',
          usedMemoryMiB: 1024,
          allocation: 'alloc_1',
          type: 'compute',
          podUid: 'p',
        },
        {
          gpuUuid: uuid,
          gpuInstanceId: undefined,
          computeInstanceId: undefined,
          pid: 8,
          name: 'x',
          usedMemoryMiB: undefined,
          allocation: undefined,
        },
      ],
      samples: [
        {
          gpuUuid: uuid,
          atMs: 0,
          values: { temperature: 41, 'memory-used': 5, 'slowed-by-thermal': 1, energy: 0 },
          words: { computeMode: 'default' },
        },
      ],
      sliceSamples: [
        { gpuUuid: uuid, gpuInstanceId: 1, computeInstanceId: 0, atMs: 0, values: { 'memory-used': gib, 'sm-activity': 0.5 } },
        { gpuUuid: uuid, gpuInstanceId: 2, computeInstanceId: undefined, atMs: 0, values: { 'memory-total': 2 * gib } },
      ],
    });

    expect(inventoryDocument(state)).toStrictEqual({
      schemaVersion: 1,
      node: 'n',
      takenAt: '1970-01-01T00:00:00.000Z',
      driverVersion: '590.48.01',
      gpus: [
        {
          uuid,
          index: 0,
          model: 'NVIDIA H100 80GB HBM3',
          pciBusId: '00000000:01:00.0',
          memoryBytes: 81559 * 2 ** 20,
          mig: { capable: true, enabled: true, pending: false },
          profiles: [
            { profile, gpuInstanceProfileId: 9, computeSlices: 3, size: 4, starts: [0, 4], instancesMax: 2, memoryBytes: 40448 * 2 ** 20 },
          ],
          slices: [
            {
              profile,
              start: 0,
              size: 4,
              gpuInstanceId: 1,
              computeInstanceId: 0,
              migUuid: 'MIG-1',
              readings: { memoryUsedBytes: gib, smActivityRatio: 0.5 },
            },
            { profile, start: 4, size: 4, gpuInstanceId: 2, readings: { memoryTotalBytes: 2 * gib } },
          ],
          readings: { temperatureCelsius: 41, memoryUsedBytes: 5, slowedByThermal: true, energyJoules: 0, computeMode: 'default' },
          conditions: [],
        },
      ],
      processes: [
        {
          pid: 7,
          name: 'train',
          type: 'compute',
          gpuUuid: uuid,
          gpuInstanceId: 1,
          computeInstanceId: 0,
          usedMemoryBytes: gib,
          allocation: 'alloc_1',
          podUid: 'p',
        },
        { pid: 8, name: 'x', gpuUuid: uuid },
      ],
      conditions: [],
    });
  });

  it('lists findings where they belong, those of a lost GPU with the node', () => {
    const document = inventoryDocument(
      stateOf((state) => {
        state.setAll(undefined, [cut, { ...cut, uuid: lostUuid, index: 1 }], state.moment);
        state.setCondition(uuid, 'mode-change-pending', 'd');
        state.setCondition(nodeKey, 'disk-full', 'e');
        state.noteFault(lostUuid, new DriverFault('gpu-lost', { command: ['-i', lostUuid] }));
      }),
    );

    expect(document.gpus.map((gpu) => [gpu.index, gpu.conditions])).toEqual([
      [0, [{ kind: 'mode-change-pending', severity: 'warning', action: 'reset', detail: 'd' }]],
    ]);
    expect(document.conditions).toEqual([
      { kind: 'disk-full', severity: 'critical', action: 'none', detail: 'e' },
      { kind: 'gpu-lost', severity: 'critical', action: 'reboot', detail: expect.any(String), gpuUuid: lostUuid },
    ]);
    expect(document).not.toHaveProperty('driverVersion');
  });

  it('is a document before the driver has said anything', () => {
    expect(inventoryDocument(stateOf(() => undefined))).toMatchObject({ schemaVersion: 1, gpus: [], processes: [], conditions: [] });
  });

  it('gives every measure a name of its own', () => {
    for (const measures of [gpuMeasures, sliceMeasures]) {
      const names = Object.entries(measures).map(([measure, { unit }]) => readingName(measure, unit));
      expect(new Set(names).size).toBe(names.length);
      for (const name of names) expect(name).toMatch(/^[a-z][A-Za-z]+$/);
    }
  });

  it('is a table for people, which steers no terminal', () => {
    const text = inventoryTable(
      inventoryDocument(
        stateOf(
          (state) => {
            state.setAll('590.48.01', [cut], state.moment);
            state.setCondition(nodeKey, 'driver-hung', 'it\nhangs');
          },
          {
            processes: [
              {
                gpuUuid: uuid,
                gpuInstanceId: 1,
                computeInstanceId: 0,
                pid: 7,
                name: 'a\u001b[2J',
                usedMemoryMiB: 12,
                allocation: undefined,
              },
            ],
          },
        ),
      ),
    );

    expect(text.split('\n').map((line) => line.replace(/ {2,}/g, '  '))).toEqual([
      'n, driver 590.48.01',
      '',
      'GPU  MODEL  MEMORY  MIG  UTIL  USED  TEMP  POWER  UUID',
      `0  NVIDIA H100 80GB HBM3  81559Mi  on (off after a reset)  -  -  -  -  ${uuid}`,
      '',
      'GPU  SLICE  GI  CI  USED  UUID',
      '0  3g.40gb@0  1  0  -  MIG-1',
      '0  3g.40gb@4  2  -  -  -',
      '',
      'GPU  GI  CI  PID  MEMORY  ALLOCATION  PROCESS',
      '0  1  0  7  12Mi  -  a?[2J',
      '',
      'SEVERITY  FINDING  OF  DO  DETAIL',
      'critical  driver-hung  node  reboot  it?hangs',
      '',
    ]);
  });
});
