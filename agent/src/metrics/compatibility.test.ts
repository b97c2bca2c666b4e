import { describe, expect, it } from 'vitest';
import { readAgentConfig } from '../config.ts';
import type { HostnameLabel } from './compatibility.ts';
import { compatibilityFamilies } from './compatibility.ts';
import { everyGpuMeasure, everySliceMeasure, gpuUuid, liveSlice, MetricsBench, observedGpu } from './testing/metrics-bench.ts';

const one = gpuUuid(1);
const mebibyte = 1024 * 1024;

function bench(hostnameLabel: HostnameLabel = 'hostname', slices: Parameters<typeof observedGpu>[1] = []): MetricsBench {
  const made = new MetricsBench({ compatibility: { set: 'dcgm', hostnameLabel } });
  made.state.setAll('590.1', [observedGpu(1, slices)], 0);
  return made;
}

const identity = `gpu="1",UUID="${one}",pci_bus_id="00000000:01:00.0",device="nvidia1",modelName="NVIDIA H100"`;

describe('the compatibility set', () => {
  it("speaks dcgm-exporter's labels and units", () => {
    const made = bench();
    made.sampled({
      gpu: 1,
      values: {
        temperature: 41,
        'gpu-utilization': 0.87,
        'sm-clock': 1_980_000_000,
        power: 312.45,
        energy: 1234.567,
        'memory-used': 512 * mebibyte,
        'memory-free': 80_000 * mebibyte,
      },
    });

    const labels = `{${identity},hostname="n",DCGM_FI_DRIVER_VERSION="590.1"}`;
    expect(made.series(/^DCGM/)).toEqual([
      `DCGM_FI_DEV_SM_CLOCK${labels} 1980`,
      `DCGM_FI_DEV_GPU_TEMP${labels} 41`,
      `DCGM_FI_DEV_POWER_USAGE${labels} 312.45`,
      `DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION${labels} 1234567`,
      `DCGM_FI_DEV_GPU_UTIL${labels} 87`,
      `DCGM_FI_DEV_FB_FREE${labels} 80000`,
      `DCGM_FI_DEV_FB_USED${labels} 512`,
    ]);
  });

  it('is not there unless asked for', () => {
    const made = new MetricsBench();
    made.state.setAll('590.1', [observedGpu(1)], 0);
    made.sampled({ gpu: 1, values: everyGpuMeasure });

    expect(made.text).not.toContain('DCGM');
  });

  it('is asked for by a word, and another word is refused with those that exist', () => {
    const needed = { ASTRAGO_AGENT_DATA: 'd', ASTRAGO_JOIN_ADDRESS: 'j', ASTRAGO_CONTROLLER_ADDRESS: 'c' };
    const read = (more: Readonly<Record<string, string>>) => readAgentConfig({ ...needed, ...more });

    expect(read({}).metricsCompatibility).toBeUndefined();
    expect(read({ ASTRAGO_METRICS_COMPATIBILITY: 'dcgm' }).metricsCompatibility).toEqual({ set: 'dcgm', hostnameLabel: 'hostname' });
    expect(() => read({ ASTRAGO_METRICS_COMPATIBILITY: 'nvml' })).toThrow('ASTRAGO_METRICS_COMPATIBILITY must be none or dcgm, not "nvml"');
    expect(read({ ASTRAGO_HOST_METRICS: 'off' }).hostPeriodMs).toBeUndefined();
  });

  it('has one of both labels for the node', () => {
    for (const [label, other] of [
      ['hostname', 'Hostname'],
      ['Hostname', 'hostname'],
    ] as const) {
      const made = bench(label);
      made.sampled({ gpu: 1, values: { power: 1 } });

      expect(made.series(/^DCGM/)[0]).toContain(`,${label}="n"`);
      expect(made.text).not.toContain(`${other}=`);
    }
  });

  it('tells the memory of a cut GPU by GPU instance and the rest once, so that sums are right', () => {
    const made = bench('hostname', [liveSlice('3g.40gb', 0, 4, 1), liveSlice('3g.40gb', 4, 4, 2)]);
    made.sampled({ gpu: 1, values: { power: 300, 'memory-used': 3 * mebibyte } });
    const values = (used: number) => ({ 'memory-used': used * mebibyte, 'graphics-activity': 0.5 });
    made.slicesSampled({ gpu: 1, gi: 1, values: values(1) }, { gpu: 1, gi: 2, values: values(2) });

    const rest = 'hostname="n",DCGM_FI_DRIVER_VERSION="590.1"';
    const slice = (id: number) => `{${identity},GPU_I_PROFILE="3g.40gb",GPU_I_ID="${id}",${rest}}`;
    expect(made.series(/^DCGM/)).toEqual([
      `DCGM_FI_DEV_POWER_USAGE{${identity},${rest}} 300`,
      `DCGM_FI_DEV_FB_USED${slice(1)} 1`,
      `DCGM_FI_DEV_FB_USED${slice(2)} 2`,
      `DCGM_FI_PROF_GR_ENGINE_ACTIVE${slice(1)} 0.5`,
      `DCGM_FI_PROF_GR_ENGINE_ACTIVE${slice(2)} 0.5`,
    ]);
  });

  it('names the pod where one alone is on the device', () => {
    const made = bench();
    made.sampled({ gpu: 1, values: { power: 1 } });
    const inPod = (pod: string) => ({
      gpuUuid: one,
      gpuInstanceId: undefined,
      computeInstanceId: undefined,
      pid: 1,
      name: 'python',
      usedMemoryMiB: 1,
      allocation: undefined,
      ...{ pod, namespace: 'team-a', container: 'main' },
    });
    const show = (...pods: readonly string[]) => {
      made.state.processes.set({ atMs: made.nowMs, processes: pods.map(inPod) });
      return /container.*(?=})/.exec(made.series(/^DCGM/)[0] ?? '')?.[0];
    };

    expect(show('job-0', 'job-0')).toBe('container="main",namespace="team-a",pod="job-0"');
    expect(show('job-0', 'job-1')).toBeUndefined();
    expect(show()).toBeUndefined();
  });

  it('vanishes with what it is made from', () => {
    const made = bench();
    made.sampled({ gpu: 1, values: everyGpuMeasure });
    expect(made.series(/^DCGM/)).toHaveLength(25);

    made.nowMs += 3001;
    expect(made.series(/^DCGM/)).toEqual([]);
  });

  it('has the last Xid of each GPU, and 0 only where the kernel log says that there was none', () => {
    const made = bench();
    const xid = () => made.series(/XID/).map((line) => line.split(' ').at(-1));
    expect(xid()).toEqual([]);

    made.state.kernelLog.set({ kind: 'readable', lostRecords: 0 });
    expect(xid()).toEqual(['0']);
    const gpu = gpuUuid(1);
    made.state.xids.set([
      { gpuUuid: gpu, xid: 79, count: 1, lastAtMs: 2000 },
      { gpuUuid: gpu, xid: 13, count: 9, lastAtMs: 1000 },
    ]);
    expect(xid()).toEqual(['79']);
  });

  it('is listed whole in the table of metrics', () => {
    const made = bench('hostname', [liveSlice('3g.40gb', 0, 4, 1)]);
    made.sampled({ gpu: 1, values: everyGpuMeasure });
    made.slicesSampled({ gpu: 1, gi: 1, values: everySliceMeasure });
    made.state.kernelLog.set({ kind: 'readable', lostRecords: 0 });

    const names = new Set(made.series(/^DCGM/).map((line) => line.split('{')[0]));
    expect([...names].sort()).toEqual(compatibilityFamilies.map(({ name }) => name).sort());
  });
});
