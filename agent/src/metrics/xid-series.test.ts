import { describe, expect, it } from 'vitest';
import { gpuUuid, MetricsBench } from './testing/metrics-bench.ts';

const one = gpuUuid(1);

describe('the Xids of a GPU', () => {
  it('are counted by code, and that the kernel log cannot be read is told apart from there being none', () => {
    const bench = new MetricsBench();
    bench.state.xids.set([{ gpuUuid: one, xid: 79, count: 2, lastAtMs: 1500 }]);
    bench.state.kernelLog.set({ kind: 'readable', lostRecords: 3 });
    expect(bench.series(/xid|kernel_log/)).toEqual([
      `astrago_gpu_xid_errors_total{uuid="${one}",xid="79"} 2`,
      `astrago_gpu_xid_last_timestamp_seconds{uuid="${one}",xid="79"} 1.5`,
      'astrago_agent_kernel_log_readable 1',
      'astrago_agent_kernel_log_lost_records_total 3',
    ]);

    bench.state.xids.set([]);
    bench.state.kernelLog.set({ kind: 'unreadable', detail: 'permission denied' });
    expect(bench.series(/xid|kernel_log/)).toEqual(['astrago_agent_kernel_log_readable 0']);
  });
});
