import type { Clock } from '@astrago/shared/runtime/clock';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { type NodeSnapshot, type NodeState, nodeKey } from '../app/node-state.ts';

export interface CommandSample {
  readonly kind: string;
  readonly ms: number;
  readonly outcome: string;
}

/**
 * The agent's metrics. GPU series are made anew at each scrape from what the loops know: a GPU or slice that is gone
 * has no series at the next scrape, a value that was not measured has none, and what is older than three periods is
 * left out. A scrape never asks the driver.
 */
export class AgentMetrics {
  readonly #registry = new Registry();
  readonly #state: NodeState;
  readonly #clock: Clock;
  readonly #staleAfterMs: number;
  readonly #inventoryStaleAfterMs: number;
  readonly #node: string;
  readonly #duration: Histogram<'kind'>;
  readonly #timeouts: Counter<'command'>;

  constructor(deps: {
    readonly node: string;
    readonly version: string;
    readonly state: NodeState;
    readonly clock: Clock;
    readonly samplePeriodMs: number;
    readonly inventoryPeriodMs: number;
  }) {
    this.#node = deps.node;
    this.#state = deps.state;
    this.#clock = deps.clock;
    this.#staleAfterMs = 3 * deps.samplePeriodMs;
    this.#inventoryStaleAfterMs = 3 * deps.inventoryPeriodMs;
    const registers = [this.#registry];
    new Gauge({ name: 'astrago_build_info', help: 'Version of the agent.', labelNames: ['version'], registers }).set(
      { version: deps.version },
      1,
    );
    this.#duration = new Histogram({
      name: 'astrago_agent_command_duration_seconds',
      help: 'How long nvidia-smi commands took.',
      labelNames: ['kind'],
      buckets: [0.025, 0.1, 0.25, 1, 2.5, 10, 30, 60],
      registers,
    });
    this.#timeouts = new Counter({
      name: 'astrago_agent_command_timeouts_total',
      help: 'nvidia-smi commands that did not end within their time.',
      labelNames: ['command'],
      registers,
    });
  }

  onCommand(sample: CommandSample): void {
    this.#duration.observe({ kind: sample.kind }, sample.ms / 1000);
    if (sample.outcome === 'timed-out') this.#timeouts.inc({ command: sample.kind });
  }

  async text(): Promise<string> {
    const now = new Registry();
    this.#describe(now);
    return Registry.merge([this.#registry, now]).metrics();
  }

  #describe(registry: Registry): void {
    const gauges = new Gauges(registry);
    const inventory = this.#state.inventory.current;
    if (inventory !== undefined) this.#describeInventory(gauges, inventory);
    const readings = this.#state.readings.current;
    if (readings === undefined) return;
    gauges.set('astrago_agent_last_collect_success_timestamp_seconds', 'When the GPUs were last sampled.', {}, readings.atMs / 1000);
    if (this.#clock.nowMs() - readings.atMs > this.#staleAfterMs) return;
    for (const reading of readings.readings) {
      const label = { uuid: reading.gpuUuid };
      gauges.set(
        'astrago_gpu_utilization_ratio',
        'Share of time in which a kernel ran; absent under MIG.',
        label,
        reading.utilizationRatio,
      );
      gauges.set('astrago_gpu_memory_used_bytes', 'Memory in use, whole board.', label, bytes(reading.memoryUsedMiB));
      gauges.set('astrago_gpu_temperature_celsius', 'Temperature of the GPU.', label, reading.temperatureCelsius);
      gauges.set('astrago_gpu_power_watts', 'Power drawn by the whole board.', label, reading.powerWatts);
    }
  }

  #describeInventory(gauges: Gauges, inventory: NodeSnapshot): void {
    const fresh = this.#clock.nowMs() - inventory.observedAtMs <= this.#inventoryStaleAfterMs;
    for (const gpu of inventory.gpus) {
      const findings = inventory.conditions.get(gpu.uuid) ?? [];
      for (const { kind } of findings) gauges.set('astrago_gpu_condition', 'A finding about a GPU.', { uuid: gpu.uuid, kind }, 1);
      // Its last facts are kept for people; a series says that it is there.
      if (!fresh || findings.some(({ kind }) => kind === 'gpu-lost')) continue;
      const mode = gpu.migEnabled ? 'mig' : 'whole';
      const identity = {
        node: this.#node,
        gpu: String(gpu.index),
        uuid: gpu.uuid,
        model: gpu.model,
        driver_version: inventory.driverVersion ?? '',
        mode,
      };
      gauges.set('astrago_gpu_info', 'Identity of a GPU.', identity, 1);
      gauges.set('astrago_gpu_memory_total_bytes', 'Memory of the board.', { uuid: gpu.uuid }, bytes(gpu.memoryMiB));
      for (const slice of gpu.slices) {
        const labels = {
          uuid: gpu.uuid,
          gi: String(slice.gpuInstanceId),
          ci: slice.computeInstanceId === undefined ? '' : String(slice.computeInstanceId),
          mig_uuid: slice.migUuid ?? '',
          profile: slice.profile,
          placement_start: String(slice.start),
          placement_size: String(slice.size),
        };
        gauges.set('astrago_mig_instance_info', 'Identity of a MIG slice.', labels, 1);
      }
    }
    for (const { kind } of inventory.conditions.get(nodeKey) ?? [])
      gauges.set('astrago_node_condition', 'A finding about the node.', { node: this.#node, kind }, 1);
    for (const { id, workload, status } of this.#state.allocations.current ?? [])
      gauges.set('astrago_allocation_info', 'An allocation on this node.', { allocation: id, workload, state: status.kind }, 1);
  }
}

function bytes(mebibytes: number | undefined): number | undefined {
  return mebibytes === undefined ? undefined : mebibytes * 1024 * 1024;
}

/** Gauges that come to be with their first value. */
class Gauges {
  readonly #registry: Registry;
  readonly #made = new Map<string, Gauge>();

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  set(name: string, help: string, labels: Readonly<Record<string, string>>, value: number | undefined): void {
    if (value === undefined) return;
    const gauge = this.#made.get(name) ?? new Gauge({ name, help, labelNames: Object.keys(labels), registers: [this.#registry] });
    this.#made.set(name, gauge);
    gauge.set(labels, value);
  }
}
