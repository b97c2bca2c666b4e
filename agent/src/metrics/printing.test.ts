import { describe, expect, it } from 'vitest';
import { gpuUuid, MetricsBench, observedGpu } from './testing/metrics-bench.ts';

const one = gpuUuid(1);

describe('printing', () => {
  it('goes on by itself while somebody scrapes, and shows a scrape nothing else', async () => {
    const bench = new MetricsBench();
    const ending = new AbortController();
    const running = bench.metrics.run(ending.signal);
    for (const power of [1, 2, 3]) {
      bench.sampled({ gpu: 1, values: { power } });
      bench.state.setAll('590.1', [observedGpu(1)], 0);
      await new Promise(setImmediate);
      expect(bench.series(/power_watts/)).toEqual([`astrago_gpu_power_watts{uuid="${one}"} ${power}`]);
      bench.nowMs += power === 2 ? 3_600_000 : 1;
    }
    ending.abort();
    await running;
  });
});
