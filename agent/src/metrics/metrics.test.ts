import { parseGpuUuid } from '@astrago/shared/domain/ids';
import { parseProfileName } from '@astrago/shared/domain/mig/profile';
import { beforeEach, describe, expect, it } from 'vitest';
import { NodeState, nodeKey } from '../app/node-state.ts';
import { DriverFault, type ObservedGpu } from '../app/ports.ts';
import { AgentMetrics } from './registry.ts';
import { MetricsServer } from './server.ts';

const uuid = parseGpuUuid('GPU-00000000-0000-0000-0000-000000000001') ?? expect.unreachable();
const profile = parseProfileName('3g.40gb') ?? expect.unreachable();
const slice = { profile, start: 4, size: 4, gpuInstanceId: 2, computeInstanceId: 0, migUuid: 'MIG-1' };
const gpu: ObservedGpu = {
  uuid,
  index: 0,
  model: 'NVIDIA H100',
  pciBusId: '0',
  memoryMiB: 80 * 1024,
  migCapable: true,
  migEnabled: true,
  migPending: undefined,
  profiles: [],
  slices: [slice],
};

let nowMs: number;
let state: NodeState;
let metrics: AgentMetrics;
beforeEach(() => {
  nowMs = 1_000_000;
  state = new NodeState(() => nowMs);
  metrics = new AgentMetrics({
    node: 'n',
    version: '1',
    state,
    clock: { nowMs: () => nowMs, elapsedMs: () => nowMs, sleep: () => Promise.resolve() },
    samplePeriodMs: 10_000,
    inventoryPeriodMs: 10_000,
  });
});

const series = async (pattern: RegExp): Promise<readonly string[]> =>
  (await metrics.text()).split('\n').filter((line) => !line.startsWith('#') && pattern.test(line));

describe('the metrics', () => {
  it('say what is known, in base units', async () => {
    state.setAll('590.1', [gpu], 0);
    state.readings.set({
      atMs: nowMs,
      readings: [{ gpuUuid: uuid, utilizationRatio: 0.5, memoryUsedMiB: 1, temperatureCelsius: 40, powerWatts: 0 }],
    });
    state.allocations.set([{ id: 'alloc_1', workload: 'w', status: { kind: 'preparing' }, enforcement: 'hardware' }]);

    expect(await series(/^astrago_(gpu|mig|allocation|build|agent_last)/)).toEqual([
      'astrago_build_info{version="1"} 1',
      `astrago_gpu_info{node="n",gpu="0",uuid="${uuid}",model="NVIDIA H100",driver_version="590.1",mode="mig"} 1`,
      `astrago_gpu_memory_total_bytes{uuid="${uuid}"} 85899345920`,
      `astrago_mig_instance_info{uuid="${uuid}",gi="2",ci="0",mig_uuid="MIG-1",profile="3g.40gb",placement_start="4",placement_size="4"} 1`,
      'astrago_allocation_info{allocation="alloc_1",workload="w",state="preparing"} 1',
      'astrago_agent_last_collect_success_timestamp_seconds 1000',
      `astrago_gpu_utilization_ratio{uuid="${uuid}"} 0.5`,
      `astrago_gpu_memory_used_bytes{uuid="${uuid}"} 1048576`,
      `astrago_gpu_temperature_celsius{uuid="${uuid}"} 40`,
      `astrago_gpu_power_watts{uuid="${uuid}"} 0`,
    ]);
  });

  it('have no series for what was not measured, is gone, or is old', async () => {
    state.setAll('590.1', [gpu], 0);
    state.readings.set({
      atMs: nowMs,
      readings: [{ gpuUuid: uuid, utilizationRatio: undefined, memoryUsedMiB: 1, temperatureCelsius: undefined, powerWatts: undefined }],
    });
    expect(await series(/^astrago_gpu_(util|mem.*used|temp|power)/)).toEqual([`astrago_gpu_memory_used_bytes{uuid="${uuid}"} 1048576`]);

    state.setGpu({ ...gpu, slices: [] });
    expect(await series(/mig_instance/)).toEqual([]);

    nowMs += 30_001;
    expect(await series(/^astrago_gpu_/)).toEqual([]);
    expect(await series(/last_collect/)).toHaveLength(1);
  });

  it('drop a GPU that is lost and tell the finding', async () => {
    state.setAll('590.1', [gpu], 0);
    state.noteFault(uuid, new DriverFault('gpu-lost', { command: ['-L'] }));
    state.noteFault(nodeKey, new DriverFault('timed-out', { command: ['-L'] }));

    expect(await series(/^astrago_(gpu|node)_/)).toEqual([
      `astrago_gpu_condition{uuid="${uuid}",kind="gpu-lost"} 1`,
      'astrago_node_condition{node="n",kind="driver-hung"} 1',
    ]);
  });

  it('count commands by kind and those that hung', async () => {
    metrics.onCommand({ kind: 'query', ms: 50, outcome: 'done' });
    metrics.onCommand({ kind: 'mutate', ms: 60_000, outcome: 'timed-out' });

    expect(await series(/command_(timeouts|duration_seconds_count)/)).toEqual([
      'astrago_agent_command_duration_seconds_count{kind="query"} 1',
      'astrago_agent_command_duration_seconds_count{kind="mutate"} 1',
      'astrago_agent_command_timeouts_total{command="mutate"} 1',
    ]);
  });
});

describe('the metrics port', () => {
  it('answers from memory: metrics, health, and nothing else', async () => {
    await using server = await MetricsServer.listen('127.0.0.1:0', metrics);
    const get = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${server.port}${path}`);

    const answer = await get('/metrics');
    expect(answer.headers.get('content-type')).toContain('version=0.0.4');
    expect(await answer.text()).toContain('astrago_build_info{version="1"} 1');
    expect(await (await get('/healthz')).text()).toBe('ok\n');
    expect((await get('/etc')).status).toBe(404);
  });
});
