import { describe, expect, it } from 'vitest';
import { nodeKey } from '../app/node-state.ts';
import { DriverFault } from '../app/ports.ts';
import { Collectors } from '../app/telemetry-status.ts';
import { nativeFamilies } from './document.ts';
import {
  allocationOf,
  everyGpuMeasure,
  everySliceMeasure,
  gpuUuid,
  liveSlice,
  MetricsBench,
  observedGpu,
} from './testing/metrics-bench.ts';

const one = gpuUuid(1);
const two = gpuUuid(2);

describe('the metrics of a GPU', () => {
  it('say what is known, in base units, and who it is once', () => {
    const bench = new MetricsBench();
    bench.state.setAll('590.1', [observedGpu(1)], 0);
    bench.sampled({ gpu: 1, values: { 'gpu-utilization': 0.5, power: 0, 'sm-clock': 1_980_000_000, 'slowed-by-thermal': 1, energy: 7.5 } });

    expect(bench.series(/^astrago_gpu_/)).toEqual([
      `astrago_gpu_info{node="n",gpu="1",uuid="${one}",model="NVIDIA H100",pci_bus_id="00000000:01:00.0",driver_version="590.1",mode="whole"} 1`,
      `astrago_gpu_memory_total_bytes{uuid="${one}"} 85899345920`,
      `astrago_gpu_utilization_ratio{uuid="${one}"} 0.5`,
      `astrago_gpu_power_watts{uuid="${one}"} 0`,
      `astrago_gpu_energy_joules_total{uuid="${one}"} 7.5`,
      `astrago_gpu_sm_clock_hertz{uuid="${one}"} 1980000000`,
      `astrago_gpu_clocks_slowed{uuid="${one}",reason="thermal"} 1`,
    ]);
  });

  it('grow old for each GPU by itself, three periods after it was read', () => {
    const bench = new MetricsBench();
    bench.state.setAll('590.1', [observedGpu(1), observedGpu(2)], 0);
    bench.sampled({ gpu: 1, values: { power: 1 }, atMs: bench.nowMs - 2000 }, { gpu: 2, values: { power: 2 } });
    const powers = () => bench.series(/^astrago_gpu_power_watts/).map((line) => line.at(-1));

    expect(powers()).toEqual(['1', '2']);
    bench.nowMs += 1000;
    expect(powers()).toEqual(['1', '2']);
    bench.nowMs += 1;
    expect(powers()).toEqual(['2']);
    bench.nowMs += 2000;
    expect(powers()).toEqual([]);
    expect(bench.series(/^astrago_gpu_info/)).toHaveLength(2);
  });

  it('do not come from the future: after the clock has jumped the next sample is right again', () => {
    const bench = new MetricsBench();
    bench.state.setAll('590.1', [observedGpu(1)], 0);
    bench.sampled({ gpu: 1, values: { power: 1 } });

    bench.nowMs -= 3_600_000;
    expect(bench.series(/power_watts|gpu_info/)).toEqual([]);
    bench.state.setGpu(observedGpu(1));
    bench.sampled({ gpu: 1, values: { power: 1 } });
    expect(bench.series(/power_watts|gpu_info/)).toHaveLength(2);
  });

  it('vanish when the listing is old, all but the conditions', () => {
    const bench = new MetricsBench();
    bench.state.setAll('590.1', [observedGpu(1, [liveSlice('3g.40gb', 4, 4, 2)])], 0);
    bench.state.noteFault(nodeKey, new DriverFault('timed-out', { command: ['-L'] }));
    expect(bench.series(/^astrago_(gpu|mig|node)_/)).toHaveLength(4);

    bench.nowMs += 30_001;
    expect(bench.series(/^astrago_(gpu|mig|node)_/)).toEqual([
      'astrago_node_condition{node="n",kind="driver-hung",severity="critical",action="reboot"} 1',
    ]);
  });

  it('are but its condition once it is lost, though samples of it are still young', () => {
    const bench = new MetricsBench();
    bench.state.setAll('590.1', [observedGpu(1), observedGpu(2)], 0);
    bench.sampled({ gpu: 1, values: { power: 1 } }, { gpu: 2, values: { power: 1 } });
    bench.state.processes.set({ atMs: bench.nowMs, processes: [] });
    bench.state.noteFault(one, new DriverFault('gpu-lost', { command: ['-L'] }));

    expect(bench.series(new RegExp(one))).toEqual([
      `astrago_gpu_condition{uuid="${one}",kind="gpu-lost",severity="critical",action="reboot"} 1`,
    ]);
    expect(bench.series(new RegExp(two))).toHaveLength(4);
  });

  it('are at most 25 series where everything is measured and something is wrong, and as many of a slice', () => {
    const bench = new MetricsBench();
    bench.state.setAll('590.1', [observedGpu(1, [liveSlice('3g.40gb', 4, 4, 2)])], 0);
    bench.state.setCondition(one, 'thermal-slowdown', 'hot');
    bench.state.processes.set({ atMs: bench.nowMs, processes: [] });
    bench.sampled({ gpu: 1, values: everyGpuMeasure });
    bench.slicesSampled({ gpu: 1, gi: 2, values: everySliceMeasure });

    const ofBoth = bench.series(new RegExp(one));
    const ofSlice = ofBoth.filter((line) => /[{,]gi="2"/.test(line));
    expect(ofBoth.length - ofSlice.length).toBe(25);
    expect(ofSlice).toHaveLength(6);
  });
});

describe('the metrics of a slice', () => {
  const cut = (...slices: Parameters<typeof observedGpu>[1] & {}) => {
    const bench = new MetricsBench();
    bench.state.setAll('590.1', [observedGpu(1, slices)], 0);
    return bench;
  };

  it('count the memory of a GPU instance once, however many compute instances share it', () => {
    const instance = liveSlice('3g.40gb', 4, 4, 2);
    const bench = cut(instance, { ...instance, computeInstanceId: 1, migUuid: 'MIG-other' });
    const values = { 'memory-total': 40, 'memory-used': 4, 'graphics-activity': 0.25 };
    bench.slicesSampled({ gpu: 1, gi: 2, ci: 0, values }, { gpu: 1, gi: 2, ci: 1, values });

    expect(bench.series(/^astrago_mig_/)).toEqual([
      `astrago_mig_instance_info{uuid="${one}",gi="2",ci="0",mig_uuid="MIG-2",profile="3g.40gb",placement_start="4",placement_size="4"} 1`,
      `astrago_mig_instance_info{uuid="${one}",gi="2",ci="1",mig_uuid="MIG-other",profile="3g.40gb",placement_start="4",placement_size="4"} 1`,
      `astrago_mig_memory_total_bytes{uuid="${one}",gi="2"} 40`,
      `astrago_mig_memory_used_bytes{uuid="${one}",gi="2"} 4`,
      `astrago_mig_graphics_activity_ratio{uuid="${one}",gi="2"} 0.25`,
    ]);
  });

  it('are gone at the next scrape after the listing without it, though its sample is young', () => {
    const bench = cut(liveSlice('3g.40gb', 4, 4, 2), liveSlice('3g.40gb', 0, 4, 1));
    bench.slicesSampled({ gpu: 1, gi: 2, values: { 'memory-used': 4 } }, { gpu: 1, gi: 1, values: { 'memory-used': 5 } });
    expect(bench.series(/gi="2"/)).toHaveLength(2);

    bench.state.setGpu(observedGpu(1, [liveSlice('3g.40gb', 0, 4, 1)]));

    expect(bench.series(/gi="2"/)).toEqual([]);
    expect(bench.series(/gi="1"/)).toHaveLength(2);
  });

  it('grow old by the period in which slices are read', () => {
    const bench = cut(liveSlice('3g.40gb', 4, 4, 2));
    bench.slicesSampled({ gpu: 1, gi: 2, values: { 'memory-used': 4 } });

    bench.nowMs += 15_000;
    expect(bench.series(/^astrago_mig_memory/)).toHaveLength(1);
    bench.nowMs += 1;
    expect(bench.series(/^astrago_mig_memory/)).toEqual([]);
  });
});

describe('the metrics of allocations', () => {
  const id = 'alloc_0000000001';
  const slice = liveSlice('3g.40gb', 4, 4, 2);
  const process = { gpuUuid: one, gpuInstanceId: 2, computeInstanceId: 0, pid: 1, name: 'python', usedMemoryMiB: 1, allocation: id };

  function running(): MetricsBench {
    const bench = new MetricsBench();
    bench.state.setAll('590.1', [observedGpu(1, [slice]), observedGpu(2)], 0);
    bench.order = {
      ...bench.order,
      allocations: [
        {
          id: allocationOf(id),
          workload: 'train "it"',
          workspace: 'team-a',
          devices: [
            { gpu: one, slice },
            { gpu: two, slice: undefined },
          ],
          intent: { kind: 'stop', graceSeconds: 1 },
        },
      ],
    };
    bench.state.allocations.set([
      { id, workload: 'train "it"', status: { kind: 'running', startedAtMs: undefined }, enforcement: 'hardware' },
      { id: 'alloc_0000000002', workload: 'gone', status: { kind: 'preparing' }, enforcement: undefined },
    ]);
    return bench;
  }

  it('name it once for each device, with its slice where there is one', () => {
    const about = `allocation="${id}",workload="train \\"it\\"",workspace="team-a",enforcement="hardware",state="running"`;
    expect(running().series(/^astrago_allocation_/)).toEqual([
      `astrago_allocation_info{uuid="${one}",mig_uuid="MIG-2",${about}} 1`,
      `astrago_allocation_info{uuid="${two}",${about}} 1`,
      'astrago_allocation_info{allocation="alloc_0000000002",workload="gone",state="preparing"} 1',
    ]);
  });

  it('add up what its processes hold, and count strangers', () => {
    const bench = running();
    const stranger = { ...process, allocation: undefined };
    const processes = [process, { ...process, pid: 2 }, { ...process, pid: 3, usedMemoryMiB: undefined }, stranger];
    bench.state.processes.set({ atMs: bench.nowMs, processes });

    expect(bench.series(/memory_used_bytes\{all|foreign/)).toEqual([
      `astrago_allocation_memory_used_bytes{allocation="${id}",uuid="${one}"} 2097152`,
      `astrago_gpu_foreign_processes{uuid="${one}"} 1`,
      `astrago_gpu_foreign_processes{uuid="${two}"} 0`,
    ]);
    bench.nowMs += 15_001;
    expect(bench.series(/memory_used_bytes\{all|foreign/)).toEqual([]);
  });

  it('say nothing of memory that nobody measured', () => {
    const bench = running();
    bench.state.processes.set({ atMs: bench.nowMs, processes: [{ ...process, usedMemoryMiB: undefined }] });

    expect(bench.series(/allocation_memory/)).toEqual([]);
  });

  it('tell the pod, and take neither an MPS server nor a screen for a stranger', () => {
    const bench = running();
    const others = [{ mpsRole: 'server' as const }, { type: 'mps-server' as const }, { type: 'graphics' as const }].map((more) => ({
      ...process,
      allocation: undefined,
      ...more,
    }));
    bench.state.processes.set({
      atMs: bench.nowMs,
      processes: [{ ...process, podUid: 'uid-1', pod: 'job-0' } as typeof process, ...others],
    });

    expect(bench.series(/pod_uid="uid-1"/)).toHaveLength(2);
    expect(bench.series(/pod="job-0"/)).toHaveLength(2);
    expect(bench.series(/foreign/).every((line) => line.endsWith(' 0'))).toBe(true);
  });

  it('tell the state of MPS daemons, one series a state', () => {
    const bench = new MetricsBench();
    bench.state.setAll('590.1', [], 0);
    const inventory = bench.state.inventory.current ?? expect.unreachable();
    const daemons = new Map([['GPU-1', [{ device: 'GPU-1', state: 'fault', clientPids: [1, 2, 3] }]]]);
    bench.state.inventory.set({ ...inventory, mpsDaemons: daemons } as typeof inventory);

    expect(bench.series(/mps/)).toEqual([
      'astrago_mps_daemon_state{device="GPU-1",state="starting"} 0',
      'astrago_mps_daemon_state{device="GPU-1",state="ready"} 0',
      'astrago_mps_daemon_state{device="GPU-1",state="fault"} 1',
      'astrago_mps_daemon_state{device="GPU-1",state="failed"} 0',
      'astrago_mps_daemon_state{device="GPU-1",state="stopping"} 0',
      'astrago_mps_clients{device="GPU-1"} 3',
    ]);
  });
});

describe('the health of collecting', () => {
  it('is told apart from the data, also when an attempt fails', async () => {
    const clock = { nowMs: () => 5000, elapsedMs: () => elapsedMs, sleep: () => Promise.resolve() };
    let elapsedMs = 0;
    const collectors = new Collectors(clock);
    const bench = new MetricsBench({ collectors });
    const attempt = async (outcome: Promise<string>) => {
      const watched = collectors.watch('gpus', () => {
        elapsedMs += 250;
        return outcome;
      });
      return watched.catch((failure: Error) => failure.message);
    };

    expect(bench.series(/collect/)).toEqual([]);
    expect(await attempt(Promise.reject(new Error('hung')))).toBe('hung');
    expect(bench.series(/collect/)).toEqual([
      'astrago_agent_last_collect_success{collector="gpus"} 0',
      'astrago_agent_last_collect_duration_seconds{collector="gpus"} 0.25',
    ]);
    expect(await attempt(Promise.resolve('read'))).toBe('read');
    expect(await attempt(Promise.reject(new Error('hung again')))).toBe('hung again');
    expect(bench.series(/collect/)).toEqual([
      'astrago_agent_last_collect_success{collector="gpus"} 0',
      'astrago_agent_last_collect_success_timestamp_seconds{collector="gpus"} 5',
      'astrago_agent_last_collect_duration_seconds{collector="gpus"} 0.25',
    ]);
  });

  it('counts commands by kind, and those that hung', () => {
    const bench = new MetricsBench();
    bench.metrics.onCommand({ kind: 'query', ms: 50, outcome: 'done' });
    bench.metrics.onCommand({ kind: 'query', ms: 500, outcome: 'done' });
    bench.metrics.onCommand({ kind: 'mutate', ms: 61_000, outcome: 'timed-out' });

    expect(bench.series(/command_(timeouts|duration_seconds_(count|sum|bucket.*"(0.1|60|\+Inf)"))/)).toEqual([
      'astrago_agent_command_duration_seconds_bucket{kind="query",le="0.1"} 1',
      'astrago_agent_command_duration_seconds_bucket{kind="query",le="60"} 2',
      'astrago_agent_command_duration_seconds_bucket{kind="query",le="+Inf"} 2',
      'astrago_agent_command_duration_seconds_sum{kind="query"} 0.55',
      'astrago_agent_command_duration_seconds_count{kind="query"} 2',
      'astrago_agent_command_duration_seconds_bucket{kind="mutate",le="0.1"} 0',
      'astrago_agent_command_duration_seconds_bucket{kind="mutate",le="60"} 0',
      'astrago_agent_command_duration_seconds_bucket{kind="mutate",le="+Inf"} 1',
      'astrago_agent_command_duration_seconds_sum{kind="mutate"} 61',
      'astrago_agent_command_duration_seconds_count{kind="mutate"} 1',
      'astrago_agent_command_timeouts_total{command="query"} 0',
      'astrago_agent_command_timeouts_total{command="mutate"} 1',
    ]);
  });

  it('tells at each scrape how many commands hang that were given up', () => {
    let hung = 0;
    const bench = new MetricsBench({ hung: () => ({ 'nvidia-smi': hung }) });
    expect(bench.series(/hung/)).toEqual(['astrago_agent_hung_commands{tool="nvidia-smi"} 0']);
    hung = 1;
    expect(bench.series(/hung/)).toEqual(['astrago_agent_hung_commands{tool="nvidia-smi"} 1']);
  });

  it('tells of readers and of the fields that the driver knows', () => {
    const reader = { restarts: 2, abandoned: 1, lastSuccessAtMs: 7000, lastError: undefined };
    const bench = new MetricsBench({
      telemetry: () => ({
        gpus: { ...reader, state: 'running' },
        details: { ...reader, state: 'stuck', lastError: 'it hangs' },
        fields: [{ field: 'power', source: 'power.draw', supported: false }],
      }),
    });

    expect(bench.series(/reader.* [^0]|collect|field/)).toEqual([
      'astrago_agent_last_collect_success{collector="gpus"} 1',
      'astrago_agent_last_collect_success{collector="devices"} 0',
      'astrago_agent_last_collect_success_timestamp_seconds{collector="gpus"} 7',
      'astrago_agent_last_collect_success_timestamp_seconds{collector="devices"} 7',
      'astrago_agent_reader_restarts_total{reader="gpus"} 2',
      'astrago_agent_reader_restarts_total{reader="devices"} 2',
      'astrago_agent_reader_abandoned_processes{reader="gpus"} 1',
      'astrago_agent_reader_abandoned_processes{reader="devices"} 1',
      'astrago_agent_reader_state{reader="gpus",state="running"} 1',
      'astrago_agent_reader_state{reader="devices",state="stuck"} 1',
      'astrago_field_supported{field="power",source="power.draw"} 0',
    ]);
    expect(bench.series(/reader_state/)).toHaveLength(12);
  });
});

describe('the printout', () => {
  it('is made once for each change, and anew when something grows old', () => {
    let looked = 0;
    const order = new MetricsBench().order;
    const bench = new MetricsBench({
      order: () => {
        looked += 1;
        return order;
      },
    });
    const printed = (): boolean => {
      const before = looked;
      bench.metrics.bytes();
      // Once to compare, and once more to print.
      return looked - before === 2;
    };
    bench.state.setAll('590.1', [observedGpu(1)], 0);

    expect([printed(), printed()]).toEqual([true, false]);
    bench.sampled({ gpu: 1, values: { power: 1 } });
    expect([printed(), printed()]).toEqual([true, false]);
    bench.nowMs += 3000;
    expect(printed()).toBe(false);
    bench.nowMs += 1;
    expect([printed(), printed()]).toEqual([true, false]);
  });

  it('has no name and no label that the table of metrics does not have', () => {
    const bench = new MetricsBench();
    bench.state.setAll('590.1', [observedGpu(1, [liveSlice('3g.40gb', 4, 4, 2)])], 0);
    bench.sampled({ gpu: 1, values: everyGpuMeasure });
    bench.slicesSampled({ gpu: 1, gi: 2, values: everySliceMeasure });
    bench.metrics.onCommand({ kind: 'query', ms: 50, outcome: 'done' });
    const known = new Map(nativeFamilies.map(({ name, labels }) => [name, new Set<string>(labels)]));

    for (const line of bench.series(/./)) {
      const [, name = ''] = /^(\w+?)(_bucket|_sum|_count)?[{ ]/.exec(line) ?? [];
      const labels = [...line.matchAll(/[{,](\w+)="/g)].map(([, label = '']) => label).filter((label) => label !== 'le');
      expect([line, labels.filter((label) => known.get(name)?.has(label) !== true)]).toEqual([line, []]);
      expect(known.has(name)).toBe(true);
    }
  });
});
