// What promtool says of everything that we may ever expose: a device that answers to all, and a live controller.
import { describe, expect, it } from 'vitest';
import {
  everyGpuMeasure,
  everySliceMeasure,
  gpuUuid,
  liveSlice,
  MetricsBench,
  observedGpu,
} from '../../agent/src/metrics/testing/metrics-bench.ts';
import { findPrometheus, promtoolFindings } from '../services/prometheus-programs.ts';

/** A node on which everything is measured, with names that need care. */
function everything(compatibility?: { readonly set: 'dcgm'; readonly hostnameLabel: 'hostname' | 'Hostname' }): MetricsBench {
  const reader = { state: 'running', restarts: 1, abandoned: 0, lastSuccessAtMs: 7000, lastError: undefined } as const;
  const bench = new MetricsBench({
    compatibility,
    telemetry: () => ({ gpus: reader, details: reader, fields: [{ field: 'power', source: 'power.draw', supported: true }] }),
  });
  const cut = { ...observedGpu(1, [liveSlice('3g.40gb', 0, 4, 1), liveSlice('1g.10gb+me', 4, 1, 7)]), model: 'a "GPU" \\ of many\nlines' };
  bench.state.setAll('590.1', [cut, observedGpu(2)], 0);
  bench.state.setCondition(gpuUuid(2), 'thermal-slowdown', 'hot');
  bench.sampled({ gpu: 1, values: everyGpuMeasure }, { gpu: 2, values: everyGpuMeasure });
  bench.slicesSampled({ gpu: 1, gi: 1, values: everySliceMeasure }, { gpu: 1, gi: 7, values: everySliceMeasure });
  bench.state.processes.set({ atMs: bench.nowMs, processes: [] });
  bench.metrics.onCommand({ kind: 'query', ms: 50, outcome: 'done' });
  return bench;
}

describe('promtool', () => {
  it('finds nothing in our own metrics', async () => {
    const { text } = everything();

    expect(text.split('\n').length).toBeGreaterThan(100);
    expect(await promtoolFindings(text)).toEqual([]);
  });

  it("finds in the compatibility set what dcgm-exporter's names bring with them, and nothing of ours", async () => {
    const findings = await promtoolFindings(everything({ set: 'dcgm', hostnameLabel: 'Hostname' }).text);

    expect(findings.filter((line) => !line.startsWith('DCGM_FI_'))).toEqual([]);
    expect([...new Set(findings.map((line) => line.replace(/^\S+ /, '')))].sort()).toEqual([
      'counter metrics should have "_total" suffix',
      "label names should be written in 'snake_case' not 'camelCase'",
      "metric name should not include type 'counter'",
    ]);
  });

  it('is fetched where it is not installed, and missed with a sentence that helps where it cannot be', async () => {
    await expect(findPrometheus({ PATH: '', XDG_CACHE_HOME: '/dev/null' })).rejects.toThrow('install it with: apt-get install prometheus');
  });
});
