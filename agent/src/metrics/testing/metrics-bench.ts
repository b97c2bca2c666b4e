// A node whose facts a test writes down, and what the agent's metrics make of them.
import { type GpuUuid, parseAllocationId, parseGpuUuid } from '@astrago/shared/domain/ids';
import { parseProfileName } from '@astrago/shared/domain/mig/profile';
import type { LiveSlice } from '@astrago/shared/domain/mig/slice';
import { emptyOrder, type Order } from '#core/order';
import { type GpuMeasure, type GpuSample, gpuMeasures, type SliceMeasure, type SliceSample, sliceMeasures } from '#core/telemetry/sample';
import { NodeState } from '../../app/node-state.ts';
import type { ObservedGpu } from '../../app/ports.ts';
import { AgentMetrics, type AgentMetricsDeps } from '../registry.ts';

export function gpuUuid(number: number): GpuUuid {
  return found(parseGpuUuid(`GPU-00000000-0000-0000-0000-${String(number).padStart(12, '0')}`));
}

export function liveSlice(profile: string, start: number, size: number, gpuInstanceId: number): LiveSlice {
  const migUuid = `MIG-${gpuInstanceId}`;
  return { profile: found(parseProfileName(profile)), start, size, gpuInstanceId, computeInstanceId: 0, migUuid };
}

export function allocationOf(id: string) {
  return found(parseAllocationId(id));
}

function found<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the test has a name that is none');
  return value;
}

export function observedGpu(number: number, slices: readonly LiveSlice[] = []): ObservedGpu {
  return {
    uuid: gpuUuid(number),
    index: number,
    model: 'NVIDIA H100',
    pciBusId: `00000000:0${number}:00.0`,
    memoryMiB: 80 * 1024,
    migCapable: true,
    migEnabled: slices.length > 0,
    migPending: undefined,
    profiles: [],
    slices,
  };
}

export class MetricsBench {
  nowMs = 1_000_000;
  order: Order = emptyOrder;
  readonly state = new NodeState(() => this.nowMs);
  readonly metrics: AgentMetrics;

  constructor(more: Partial<AgentMetricsDeps> = {}) {
    this.metrics = new AgentMetrics({
      node: 'n',
      version: '1',
      state: this.state,
      clock: this.clock,
      periodsMs: { inventory: 10_000, sample: 1000, detail: 5000, host: 15_000 },
      order: () => this.order,
      ...more,
    });
  }

  get clock() {
    return { nowMs: () => this.nowMs, elapsedMs: () => this.nowMs, sleep: () => Promise.resolve() };
  }

  sampled(...samples: readonly { gpu: number; values: GpuSample['values']; atMs?: number }[]): void {
    this.state.samples.set({
      atMs: this.nowMs,
      samples: new Map(
        samples.map(({ gpu, values, atMs = this.nowMs }) => [gpuUuid(gpu), { gpuUuid: gpuUuid(gpu), atMs, values, words: {} }]),
      ),
    });
  }

  slicesSampled(...samples: readonly { gpu: number; gi: number; ci?: number; values: SliceSample['values'] }[]): void {
    this.state.slices.set({
      atMs: this.nowMs,
      slices: samples.map(({ gpu, gi, ci, values }) => ({
        gpuUuid: gpuUuid(gpu),
        gpuInstanceId: gi,
        computeInstanceId: ci ?? 0,
        atMs: this.nowMs,
        values,
      })),
    });
  }

  get text(): string {
    return this.metrics.bytes().toString('utf8');
  }

  /** Series whose line fits, without comments. */
  series(pattern: RegExp): readonly string[] {
    return this.text.split('\n').filter((line) => line !== '' && !line.startsWith('#') && pattern.test(line));
  }
}

/** As if the device answered to everything that can be asked. */
export const everyGpuMeasure = Object.fromEntries(Object.keys(gpuMeasures).map((measure) => [measure, 1])) as Record<GpuMeasure, number>;
export const everySliceMeasure = Object.fromEntries(Object.keys(sliceMeasures).map((measure) => [measure, 1])) as Record<
  SliceMeasure,
  number
>;
