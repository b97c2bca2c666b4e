// The names, labels and units of NVIDIA's dcgm-exporter, for dashboards that were made for it: MHz, MiB, percent, watts and
// millijoules. Only what nvidia-smi supplies; profiling fields are missing but for the activity of MIG slices, which it
// prints on Hopper and later. Source of names, types and units: etc/default-counters.csv of github.com/NVIDIA/dcgm-exporter.
import type { GpuUuid } from '@astrago/shared/domain/ids';
import type { GpuMeasure, GpuSample, SliceMeasure } from '#core/telemetry/sample';
import type { XidTotal } from '../app/node-state.ts';
import type { ObservedGpu } from '../app/ports.ts';
import { isMpsServer, type PlacedProcess, podOf } from './allocation-series.ts';
import type { Exposition, Family, FamilyType } from './exposition.ts';
import type { FreshView } from './gpu-series.ts';

/** Newer versions of dcgm-exporter have `hostname`, older ones `Hostname`; a dashboard knows one of them. */
export type HostnameLabel = 'hostname' | 'Hostname';

export interface Compatibility {
  readonly set: 'dcgm';
  readonly hostnameLabel: HostnameLabel;
}

const identityLabels = [
  'gpu',
  'UUID',
  'pci_bus_id',
  'device',
  'modelName',
  'GPU_I_PROFILE',
  'GPU_I_ID',
  'hostname',
  'Hostname',
  'DCGM_FI_DRIVER_VERSION',
  'container',
  'namespace',
  'pod',
  'pod_uid',
] as const;

interface Translated<Measure> {
  readonly family: Family<(typeof identityLabels)[number]>;
  readonly measure: Measure;
  /** How many of dcgm-exporter's units one of ours is. */
  readonly factor: number;
}

const units = { none: 1, percent: 100, megahertz: 1e-6, mebibytes: 2 ** -20, millijoules: 1000 } as const;

function field<Measure>(
  name: string,
  measure: Measure,
  unit: keyof typeof units,
  help: string,
  type: FamilyType = 'gauge',
): Translated<Measure> {
  return { family: { name: `DCGM_FI_${name}`, type, help, labels: identityLabels }, measure, factor: units[unit] };
}

/** Of the board, also where it is cut. */
const board: readonly Translated<GpuMeasure>[] = [
  field('DEV_SM_CLOCK', 'sm-clock', 'megahertz', 'Clock of the streaming multiprocessors, MHz'),
  field('DEV_MEM_CLOCK', 'memory-clock', 'megahertz', 'Clock of the memory, MHz'),
  field('DEV_MEMORY_TEMP', 'memory-temperature', 'none', 'Temperature of the memory, degrees Celsius'),
  field('DEV_GPU_TEMP', 'temperature', 'none', 'Temperature of the GPU, degrees Celsius'),
  field('DEV_POWER_USAGE', 'power', 'none', 'Power drawn by the board, watts'),
  field('DEV_TOTAL_ENERGY_CONSUMPTION', 'energy', 'millijoules', 'Energy drawn since the driver was loaded, mJ', 'counter'),
  field('DEV_PCIE_REPLAY_COUNTER', 'pcie-replays', 'none', 'PCIe transfers repeated after an error', 'counter'),
  field('DEV_GPU_UTIL', 'gpu-utilization', 'percent', 'Share of time in which a kernel ran, percent'),
  field('DEV_MEM_COPY_UTIL', 'memory-utilization', 'percent', 'Share of time in which device memory was read or written, percent'),
  field('DEV_ENC_UTIL', 'encoder-utilization', 'percent', 'Share of time in which the video encoder was busy, percent'),
  field('DEV_DEC_UTIL', 'decoder-utilization', 'percent', 'Share of time in which the video decoder was busy, percent'),
  field('DEV_ECC_SBE_VOL_TOTAL', 'ecc-corrected', 'none', 'Corrected memory errors since the driver was loaded', 'counter'),
  field('DEV_ECC_DBE_VOL_TOTAL', 'ecc-uncorrected', 'none', 'Uncorrected memory errors since the driver was loaded', 'counter'),
  field('DEV_ECC_SBE_AGG_TOTAL', 'ecc-corrected-lifetime', 'none', 'Corrected memory errors in the life of the board', 'counter'),
  field('DEV_ECC_DBE_AGG_TOTAL', 'ecc-uncorrected-lifetime', 'none', 'Uncorrected memory errors in the life of the board', 'counter'),
  field('DEV_RETIRED_SBE', 'retired-pages-single-bit', 'none', 'Memory pages retired after single-bit errors', 'counter'),
  field('DEV_RETIRED_DBE', 'retired-pages-double-bit', 'none', 'Memory pages retired after a double-bit error', 'counter'),
  field('DEV_RETIRED_PENDING', 'retired-pages-pending', 'none', 'Whether a memory page is retired at the next reset', 'counter'),
  field('DEV_UNCORRECTABLE_REMAPPED_ROWS', 'remapped-rows-uncorrectable', 'none', 'Rows replaced after uncorrected errors', 'counter'),
  field('DEV_CORRECTABLE_REMAPPED_ROWS', 'remapped-rows-correctable', 'none', 'Rows replaced after corrected errors', 'counter'),
  field('DEV_ROW_REMAP_FAILURE', 'row-remap-failure', 'none', 'Whether a row could not be replaced'),
];

/** Of the board where it is in one piece, of each GPU instance where it is cut, never both: a sum must not count twice. */
const memory = [
  field('DEV_FB_FREE', 'memory-free', 'mebibytes', 'Memory not in use, MiB'),
  field('DEV_FB_USED', 'memory-used', 'mebibytes', 'Memory in use, MiB'),
  field('DEV_FB_RESERVED', 'memory-reserved', 'mebibytes', 'Memory that driver and firmware keep, MiB'),
  field('DEV_FB_TOTAL', 'memory-total', 'mebibytes', 'Memory of the board or GPU instance, MiB'),
] as const satisfies readonly Translated<GpuMeasure & SliceMeasure>[];

/** Where the driver measures it: GPU instances on Hopper and later. */
const activity: readonly Translated<SliceMeasure>[] = [
  field('PROF_GR_ENGINE_ACTIVE', 'graphics-activity', 'none', 'Share of time in which the compute engine was busy, 0 to 1'),
  field('PROF_SM_ACTIVE', 'sm-activity', 'none', 'Share of multiprocessors with work over time, 0 to 1'),
];

const lastXid: Family<(typeof identityLabels)[number]> = {
  name: 'DCGM_FI_DEV_XID_ERRORS',
  type: 'gauge',
  help: 'The last Xid in the kernel log since the machine was booted, 0 for none',
  labels: identityLabels,
};

export const compatibilityFamilies: readonly Family<string>[] = [
  ...[...board, ...memory, ...activity].map(({ family }) => family),
  lastXid,
];

export function describeCompatibility(
  out: Exposition,
  facts: {
    readonly node: string;
    readonly hostnameLabel: HostnameLabel;
    readonly view: FreshView;
    readonly processes: readonly PlacedProcess[] | undefined;
    /** Absent where the kernel log cannot be read: then nobody knows. */
    readonly xids: readonly XidTotal[] | undefined;
  },
): void {
  const { view } = facts;
  const samples = new Map<GpuUuid, GpuSample>(view.samples.map((sample) => [sample.gpuUuid, sample]));
  const identity = (gpu: ObservedGpu) => ({
    gpu: String(gpu.index),
    UUID: gpu.uuid,
    pci_bus_id: gpu.pciBusId,
    device: `nvidia${gpu.index}`,
    modelName: gpu.model,
  });
  const shared = { [facts.hostnameLabel]: facts.node, DCGM_FI_DRIVER_VERSION: view.driverVersion };
  const pods = (gpu: ObservedGpu, gpuInstanceId: number | undefined) => {
    const onDevice = (facts.processes ?? []).filter((one) => one.gpuUuid === gpu.uuid && one.gpuInstanceId === gpuInstanceId);
    const place = podOf(onDevice.filter((process) => !isMpsServer(process)));
    return { container: place?.container, namespace: place?.namespace, pod: place?.pod, pod_uid: place?.podUid };
  };
  const boards = view.gpus.map((gpu) => ({
    uuid: gpu.uuid,
    cut: gpu.slices.length > 0,
    values: samples.get(gpu.uuid)?.values ?? {},
    labels: { ...identity(gpu), ...shared, ...(gpu.slices.length > 0 ? {} : pods(gpu, undefined)) },
  }));
  const slices = view.slices.flatMap((sample) => {
    const gpu = view.gpus.find(({ uuid }) => uuid === sample.gpuUuid);
    const live = gpu?.slices.find(({ gpuInstanceId }) => gpuInstanceId === sample.gpuInstanceId);
    if (gpu === undefined || live === undefined) return [];
    const instance = { GPU_I_PROFILE: live.profile, GPU_I_ID: String(live.gpuInstanceId) };
    return [{ values: sample.values, labels: { ...identity(gpu), ...instance, ...shared, ...pods(gpu, live.gpuInstanceId) } }];
  });
  for (const { family, measure, factor } of board)
    for (const { values, labels } of boards) out.add(family, labels, converted(values[measure], factor));
  for (const { family, measure, factor } of memory) {
    for (const { values, labels, cut } of boards) if (!cut) out.add(family, labels, converted(values[measure], factor));
    for (const { values, labels } of slices) out.add(family, labels, converted(values[measure], factor));
  }
  for (const { uuid, labels } of boards) out.add(lastXid, labels, facts.xids === undefined ? undefined : lastOf(facts.xids, uuid));
  for (const { family, measure, factor } of activity)
    for (const { values, labels } of slices) out.add(family, labels, converted(values[measure], factor));
}

function lastOf(xids: readonly XidTotal[], uuid: GpuUuid): number {
  const own = xids.filter(({ gpuUuid }) => gpuUuid === uuid);
  return own.reduce((last, one) => (one.lastAtMs > last.lastAtMs ? one : last), { xid: 0, lastAtMs: 0 }).xid;
}

/** Without the digits that come of writing 0.87 in twos. */
function converted(value: number | undefined, factor: number): number | undefined {
  return value === undefined ? undefined : Math.round(value * factor * 1e6) / 1e6;
}
