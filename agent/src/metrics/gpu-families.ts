// What is told of a GPU and of a slice. Chosen to stay within 25 series a device: what follows from another series (free
// memory), what only a condition needs (retired pages pending), and what few GPUs do (video engines) is left out.
import type { GpuMeasure, SliceMeasure } from '#core/telemetry/sample';
import type { Family } from './exposition.ts';

export const gpuInfo = {
  name: 'astrago_gpu_info',
  type: 'gauge',
  help: 'Identity of a GPU, always 1; the other series of a GPU carry its uuid only. The mode is whole or mig',
  labels: ['node', 'gpu', 'uuid', 'model', 'pci_bus_id', 'driver_version', 'mode'],
} as const satisfies Family<string>;

/** A family that shows one measure, or several of them apart by one label. */
interface Shown<Measure> {
  readonly family: Family<string>;
  readonly series: readonly { readonly measure: Measure; readonly label: Readonly<Record<string, string>> }[];
}

function of<Measure extends string>(
  scope: 'gpu' | 'mig',
  name: string,
  measure: Measure,
  help: string,
  type: 'gauge' | 'counter' = 'gauge',
): Shown<Measure> {
  const labels = scope === 'gpu' ? ['uuid'] : ['uuid', 'gi'];
  return { family: { name: `astrago_${scope}_${name}`, type, help, labels }, series: [{ measure, label: {} }] };
}

function apart(
  name: string,
  label: string,
  measures: Readonly<Partial<Record<GpuMeasure, string>>>,
  help: string,
  type: 'gauge' | 'counter' = 'counter',
): Shown<GpuMeasure> {
  const series = Object.entries(measures).map(([measure, value]) => ({ measure: measure as GpuMeasure, label: { [label]: value } }));
  return { family: { name: `astrago_gpu_${name}`, type, help, labels: ['uuid', label] }, series };
}

export const gpuShown: readonly Shown<GpuMeasure>[] = [
  of('gpu', 'memory_total_bytes', 'memory-total', 'Memory of the board'),
  of('gpu', 'memory_used_bytes', 'memory-used', 'Memory in use on the whole board'),
  of('gpu', 'utilization_ratio', 'gpu-utilization', 'Share of time in which a kernel ran; not measured while the GPU is cut'),
  of('gpu', 'memory_utilization_ratio', 'memory-utilization', 'Share of time in which device memory was read or written'),
  of('gpu', 'power_watts', 'power', 'Power drawn by the whole board'),
  of('gpu', 'power_limit_watts', 'power-limit', 'Power limit in force'),
  of('gpu', 'energy_joules_total', 'energy', 'Energy drawn since the driver was loaded', 'counter'),
  of('gpu', 'temperature_celsius', 'temperature', 'Temperature of the GPU'),
  of('gpu', 'memory_temperature_celsius', 'memory-temperature', 'Temperature of the memory'),
  of('gpu', 'sm_clock_hertz', 'sm-clock', 'Clock of the streaming multiprocessors'),
  of('gpu', 'memory_clock_hertz', 'memory-clock', 'Clock of the memory'),
  apart(
    'clocks_slowed',
    'reason',
    { 'slowed-by-thermal': 'thermal', 'slowed-by-power-cap': 'power-cap', 'slowed-by-power-brake': 'power-brake' },
    'Whether the clocks are held down for this reason, 0 or 1',
    'gauge',
  ),
  apart(
    'ecc_errors_total',
    'type',
    { 'ecc-corrected': 'corrected', 'ecc-uncorrected': 'uncorrected' },
    'Memory errors since the driver was loaded',
  ),
  apart(
    'remapped_rows_total',
    'cause',
    { 'remapped-rows-correctable': 'correctable', 'remapped-rows-uncorrectable': 'uncorrectable' },
    'Memory rows replaced in the life of the board; Ampere and later',
  ),
  apart(
    'retired_pages_total',
    'cause',
    { 'retired-pages-single-bit': 'single-bit', 'retired-pages-double-bit': 'double-bit' },
    'Memory pages retired in the life of the board; before Ampere',
  ),
  of('gpu', 'pcie_replays_total', 'pcie-replays', 'PCIe transfers repeated after an error', 'counter'),
  of('gpu', 'pcie_link_lanes', 'pcie-width', 'Lanes of the PCIe link now'),
];

export const sliceInfo = {
  name: 'astrago_mig_instance_info',
  type: 'gauge',
  help: 'Identity of a MIG slice, always 1; uuid is that of the GPU, and the other series of a slice carry uuid and gi only',
  labels: ['uuid', 'gi', 'ci', 'mig_uuid', 'profile', 'placement_start', 'placement_size'],
} as const satisfies Family<string>;

/** Once a GPU instance: its compute instances share the figures, and a sum must not count them twice. */
export const sliceShown: readonly Shown<SliceMeasure>[] = [
  of('mig', 'memory_total_bytes', 'memory-total', 'Memory of the GPU instance'),
  of('mig', 'memory_used_bytes', 'memory-used', 'Memory in use in the GPU instance'),
  of(
    'mig',
    'graphics_activity_ratio',
    'graphics-activity',
    'Share of time in which the compute engine was busy, where the driver measures it',
  ),
  of('mig', 'sm_activity_ratio', 'sm-activity', 'Share of multiprocessors with work over time, where the driver measures it'),
  of('mig', 'sram_errors_total', 'sram-uncorrected', 'On-chip memory errors not corrected since the driver was loaded', 'counter'),
];

export const gpuCondition = {
  name: 'astrago_gpu_condition',
  type: 'gauge',
  help: 'A finding about a GPU that holds now, always 1; with its severity and what brings the GPU back',
  labels: ['uuid', 'kind', 'severity', 'action'],
} as const satisfies Family<string>;

export const nodeCondition = {
  name: 'astrago_node_condition',
  type: 'gauge',
  help: 'A finding about the node that holds now, always 1; with its severity and what brings the node back',
  labels: ['node', 'kind', 'severity', 'action'],
} as const satisfies Family<string>;

export const foreignProcesses = {
  name: 'astrago_gpu_foreign_processes',
  type: 'gauge',
  help: 'Processes on the GPU that no allocation explains',
  labels: ['uuid'],
} as const satisfies Family<string>;
