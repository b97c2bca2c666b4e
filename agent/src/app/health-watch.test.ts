import type { GpuUuid } from '@astrago/shared/domain/ids';
import type { Layout } from '@astrago/shared/domain/mig/layout';
import { parseSlice } from '@astrago/shared/domain/mig/slice';
import type { Clock } from '@astrago/shared/runtime/clock';
import { beforeEach, describe, expect, it } from 'vitest';
import { emptyOrder, type Order } from '#core/order';
import type { GpuSample } from '#core/telemetry/sample';
import type { DatedKernelNote, KernelLog } from './health-ports.ts';
import { HealthWatch } from './health-watch.ts';
import { type KernelLogStatus, NodeState } from './node-state.ts';
import { DriverFault, type ObservedGpu } from './ports.ts';

const [one, two] = ['GPU-00000000-0000-0000-0000-000000000001', 'GPU-00000000-0000-0000-0000-000000000002'] as [GpuUuid, GpuUuid];
const startMs = 1_700_000_000_000;

function gpu(uuid: GpuUuid, index: number, more: Partial<ObservedGpu> = {}): ObservedGpu {
  return {
    uuid,
    index,
    model: 'NVIDIA H100 80GB HBM3',
    pciBusId: `00000000:0${index + 7}:00.0`,
    memoryMiB: 81_559,
    migCapable: true,
    migEnabled: false,
    migPending: undefined,
    profiles: [],
    slices: [],
    ...more,
  };
}

/** A watch whose world is written by hand. */
class Bench {
  elapsedMs = 0;
  /** What the wall clock is wrong by. */
  jumpMs = 0;
  readonly state = new NodeState(() => this.clock.nowMs());
  order: Order = emptyOrder;
  notes: DatedKernelNote[] = [];
  status: KernelLogStatus = { kind: 'readable', lostRecords: 0 };
  readonly resetAges = new Map<GpuUuid, number>();
  readonly logged: string[] = [];
  readonly watch: HealthWatch;
  readonly clock: Clock = {
    nowMs: () => startMs + this.elapsedMs + this.jumpMs,
    elapsedMs: () => this.elapsedMs,
    sleep: () => Promise.resolve(),
  };

  constructor() {
    const kernelLog: KernelLog = {
      take: async () => ({ status: this.status, notes: this.notes.splice(0), more: false }),
      [Symbol.asyncDispose]: async () => undefined,
    };
    this.watch = new HealthWatch({
      state: this.state,
      kernelLog,
      resets: { ageMs: (uuid) => this.resetAges.get(uuid), note: async (uuid) => void this.resetAges.set(uuid, 0) },
      clock: this.clock,
      order: () => this.order,
      samplePeriodMs: 10_000,
      driftAfterMs: 60_000,
      log: (_, message) => this.logged.push(message),
    });
  }

  xid(code: number, pci = '0:7:0', ageMs = 0): void {
    const xid = { code, text: '', pid: undefined, process: undefined, gpuInstanceId: undefined };
    this.notes.push({ kind: 'xid', pci, xid, ageMs });
  }

  list(...gpus: readonly ObservedGpu[]): void {
    this.state.setAll('580.65.06', gpus, this.state.moment);
  }

  /** Seconds pass, with a sample of each of these every ten. */
  async pass(seconds: number, of: Readonly<Record<GpuUuid, Pick<GpuSample, 'values'> & Partial<GpuSample>>> = {}): Promise<void> {
    for (let second = 0; second < seconds; second += 1) {
      this.elapsedMs += 1000;
      const samples = Object.entries(of).map(([uuid, sample]) => ({
        words: {},
        gpuUuid: uuid as GpuUuid,
        atMs: this.clock.nowMs(),
        ...sample,
      }));
      if (samples.length > 0 && second % 10 === 0)
        this.state.samples.set({ atMs: this.clock.nowMs(), samples: new Map(samples.map((one) => [one.gpuUuid, one])) });
      await this.watch.round();
    }
  }

  kinds(uuid: GpuUuid): readonly string[] {
    return (this.state.inventory.current?.conditions.get(uuid) ?? []).map(({ kind }) => kind);
  }
}

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});

const fine = { values: { 'ecc-uncorrected': 0 } };

describe('the watch over health', () => {
  it('ties an Xid to the GPU at its address, counts it, and leaves the others alone', async () => {
    bench.list(gpu(one, 0), gpu(two, 1));
    for (let count = 0; count < 3; count += 1) bench.xid(119, '0:8:0');
    bench.xid(13, '0:8:0');
    await bench.pass(1);

    expect(bench.kinds(one)).toEqual([]);
    expect(bench.kinds(two)).toEqual(['xid-application', 'xid-needs-reset']);
    expect(bench.state.xids.current).toEqual([
      { gpuUuid: two, xid: 119, count: 3, lastAtMs: startMs + 1000 },
      { gpuUuid: two, xid: 13, count: 1, lastAtMs: startMs + 1000 },
    ]);
    expect(bench.logged.filter((message) => message.includes('Xid'))).toHaveLength(2);
  });

  it('keeps an Xid until its GPU is listed, which may be after the restart of an agent, and says since when', async () => {
    bench.xid(48, '0:7:0', 500_000);
    bench.xid(79, '0:99:0');
    await bench.pass(5);
    expect(bench.state.inventory.current).toBeUndefined();
    bench.list(gpu(one, 0));
    await bench.pass(1);
    expect(bench.state.inventory.current?.conditions.get(one)).toEqual([
      { kind: 'xid-needs-reset', detail: 'Xid 48, memory error that could not be corrected', sinceMs: startMs + 1000 - 500_000 },
    ]);
  });

  it('finds GPUs by the name that the log gives their address, and believes the driver more', async () => {
    bench.list(gpu(one, 0, { pciBusId: '' }), gpu(two, 1));
    bench.notes.push({ kind: 'named', pci: '0:7:0', gpu: one, ageMs: 0 }, { kind: 'named', pci: '0:8:0', gpu: one, ageMs: 0 });
    bench.xid(31, '0:7:0');
    bench.xid(94, '0:8:0');
    await bench.pass(1);
    expect(bench.kinds(one)).toEqual(['xid-application']);
    expect(bench.kinds(two)).toEqual(['xid-warning']);
  });

  it('takes what was logged before a reset for void: one it did, one it remembers, one a person tells', async () => {
    bench.list(gpu(one, 0), gpu(two, 1));
    bench.resetAges.set(two, 60_000);
    bench.xid(48, '0:8:0', 70_000);
    bench.xid(119, '0:7:0', 70_000);
    await bench.pass(1);
    expect(bench.kinds(one)).toEqual(['xid-needs-reset']);
    expect(bench.kinds(two)).toEqual([]);

    bench.watch.noteReset(one);
    bench.xid(79, '0:8:0');
    await bench.pass(1);
    expect(bench.kinds(one)).toEqual([]);
    expect(bench.resetAges.get(one)).toBe(0);
    expect(bench.kinds(two)).toEqual(['xid-needs-reboot']);

    bench.notes.push({ kind: 'reset', pci: '0:8:0', ageMs: 0 });
    await bench.pass(1);
    expect(bench.kinds(two)).toEqual([]);
  });

  it('turns samples into conditions, and keeps them of a GPU that gives no samples any more', async () => {
    bench.list(gpu(one, 0), gpu(two, 1));
    const bad = { values: { 'ecc-uncorrected': 3, 'row-remap-pending': 1 } };
    await bench.pass(30, { [one]: bad, [two]: fine });
    expect(bench.kinds(one)).toEqual(['ecc-uncorrectable', 'row-remap-pending']);
    expect(bench.kinds(two)).toEqual([]);

    await bench.pass(60, { [two]: fine });
    expect(bench.kinds(one)).toEqual(['ecc-uncorrectable', 'row-remap-pending', 'telemetry-stale']);
    expect(bench.kinds(two)).toEqual([]);

    await bench.pass(60, { [one]: { values: { 'ecc-uncorrected': 0, 'row-remap-pending': 0 } }, [two]: fine });
    expect(bench.kinds(one)).toEqual([]);
  });

  it('does not take the old sample of a GPU that did not answer for a new one', async () => {
    bench.list(gpu(one, 0), gpu(two, 1));
    await bench.pass(60, { [one]: { ...fine, atMs: startMs }, [two]: fine });
    expect(bench.kinds(one)).toEqual(['telemetry-stale']);
  });

  it('tells nothing stale of a GPU that is told to be lost', async () => {
    bench.list(gpu(one, 0), gpu(two, 1));
    bench.state.noteFault(one, new DriverFault('gpu-lost', { command: ['-i', one] }));
    await bench.pass(60, { [two]: fine });
    expect(bench.kinds(one)).toEqual(['gpu-lost']);
  });

  it('is not moved by a wall clock that jumps', async () => {
    bench.list(gpu(one, 0));
    const hot = { [one]: { values: { 'slowed-by-thermal': 1 } } };
    await bench.pass(10, hot);
    bench.jumpMs = 3_600_000;
    await bench.pass(10, hot);
    expect(bench.kinds(one)).toEqual([]);
    bench.jumpMs = -3_600_000;
    await bench.pass(20, hot);
    expect(bench.kinds(one)).toEqual(['thermal-slowdown']);
  });

  it('says once that the log cannot be read, works on without it, and sees Xids when it can', async () => {
    bench.list(gpu(one, 0));
    bench.status = { kind: 'unreadable', detail: '/dev/kmsg cannot be read (EPERM)' };
    await bench.pass(30, { [one]: { values: { 'row-remap-failure': 1 } } });
    expect(bench.kinds(one)).toEqual(['row-remap-failure']);
    expect(bench.state.kernelLog.current).toEqual(bench.status);
    expect(bench.logged.filter((message) => message.includes('not read'))).toHaveLength(1);
    bench.status = { kind: 'readable', lostRecords: 7 };
    bench.xid(94);
    await bench.pass(1);
    expect(bench.kinds(one)).toContain('xid-warning');
    expect(bench.state.kernelLog.current).toEqual({ kind: 'readable', lostRecords: 7 });
  });

  it('holds a bounded number of what nobody can be told of', async () => {
    for (let count = 0; count < 5000; count += 1) bench.xid(13, `0:${(count % 200).toString(16)}:1`);
    bench.xid(79, '0:7:0');
    await bench.pass(2);
    bench.list(gpu(one, 0));
    await bench.pass(1);
    expect(bench.kinds(one)).toEqual(['xid-needs-reboot']);
    for (let code = 0; code < 3000; code += 1) bench.xid(code);
    await bench.pass(1);
    expect(bench.state.xids.current?.length).toBe(64);
  });
});

describe('a layout', () => {
  const slice = parseSlice('3g.40gb@4') ?? { profile: 'x', start: 0 };
  const cut: Layout = { kind: 'mig', slices: [slice as never] };
  const live = { ...slice, size: 4, gpuInstanceId: 1, computeInstanceId: 0, migUuid: 'MIG-1' } as ObservedGpu['slices'][number];

  it('has drifted once it stands still for a while beside what was ordered', async () => {
    bench.order = { ...emptyOrder, gpus: [{ uuid: one, layout: cut }] };
    bench.list(gpu(one, 0), gpu(two, 1));
    await bench.pass(59, { [one]: fine, [two]: fine });
    bench.list(gpu(one, 0, { migEnabled: true }), gpu(two, 1));
    await bench.pass(60, { [one]: fine, [two]: fine });
    // A step was taken meanwhile.
    expect(bench.kinds(one)).toEqual([]);
    await bench.pass(2, { [one]: fine, [two]: fine });
    expect(bench.state.inventory.current?.conditions.get(one)).toMatchObject([
      { kind: 'layout-drifted', detail: '3g.40gb@4 is ordered, and mig is there' },
    ]);
    expect(bench.kinds(two)).toEqual([]);

    bench.list(gpu(one, 0, { migEnabled: true, slices: [live] }), gpu(two, 1));
    await bench.pass(1, { [one]: fine, [two]: fine });
    expect(bench.kinds(one)).toEqual([]);
  });

  it('is not judged while its GPU is not listed, and not where nothing is ordered', async () => {
    bench.order = { ...emptyOrder, gpus: [{ uuid: one, layout: cut }] };
    bench.list(gpu(one, 0), gpu(two, 1, { migEnabled: true }));
    bench.state.noteFault(one, new DriverFault('gpu-lost', { command: ['-i', one] }));
    await bench.pass(120, { [two]: fine });
    expect(bench.kinds(one)).toEqual(['gpu-lost']);
    expect(bench.kinds(two)).toEqual([]);
  });
});
