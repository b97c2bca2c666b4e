// `nvidia-smi -q`: says what `-q -x` says, for where only the text is to be had. Labels stand for the elements of the log.

import { type DeviceLog, type LogNode, readDeviceTree } from './parse-device-log.ts';
import { linesOf, type Parsed, unreadable } from './parsed.ts';

interface Entry {
  readonly label: string;
  readonly value: string;
  readonly depth: number;
  readonly children: Entry[];
}

/** Compared without regard to case: `Gpu` became `GPU` once. */
const paths: Readonly<Record<string, string>> = {
  'product name': 'product_name',
  'gpu uuid': 'uuid',
  'persistence mode': 'persistence_mode',
  'mig mode/current': 'mig_mode/current_mig',
  'mig mode/pending': 'mig_mode/pending_mig',
  'gpu recovery action': 'gpu_recovery_action',
  'pci/gpu link info/pcie generation/max': 'pci/pci_gpu_link_info/pcie_gen/max_link_gen',
  'pci/gpu link info/pcie generation/current': 'pci/pci_gpu_link_info/pcie_gen/current_link_gen',
  'pci/gpu link info/pcie generation/device current': 'pci/pci_gpu_link_info/pcie_gen/device_current_link_gen',
  'pci/gpu link info/link width/max': 'pci/pci_gpu_link_info/link_widths/max_link_width',
  'pci/gpu link info/link width/current': 'pci/pci_gpu_link_info/link_widths/current_link_width',
  'pci/replays since reset': 'pci/replay_counter',
  'pci/tx throughput': 'pci/tx_util',
  'pci/rx throughput': 'pci/rx_util',
  'fan speed': 'fan_speed',
  'performance state': 'performance_state',
  'compute mode': 'compute_mode',
  'encoder stats/active sessions': 'encoder_stats/session_count',
  'temperature/gpu current temp': 'temperature/gpu_temp',
  'temperature/gpu t.limit temp': 'temperature/gpu_temp_tlimit',
  'temperature/memory current temp': 'temperature/memory_temp',
  'gpu power readings/average power draw': 'gpu_power_readings/average_power_draw',
  'gpu power readings/instantaneous power draw': 'gpu_power_readings/instant_power_draw',
  'gpu power readings/power draw': 'gpu_power_readings/power_draw',
  'gpu power readings/current power limit': 'gpu_power_readings/current_power_limit',
  'gpu power readings/requested power limit': 'gpu_power_readings/requested_power_limit',
  'gpu power readings/gpu ceiling power limit/current power limit': 'gpu_power_readings/current_power_limit',
  'gpu power readings/gpu ceiling power limit/requested power limit': 'gpu_power_readings/requested_power_limit',
  'power readings/power draw': 'power_readings/power_draw',
  'power readings/power limit': 'power_readings/power_limit',
  'power readings/enforced power limit': 'power_readings/enforced_power_limit',
  'fabric/state': 'fabric/state',
  'fabric/status': 'fabric/status',
  'retired pages/single bit ecc': 'retired_pages/multiple_single_bit_retirement/retired_count',
  'retired pages/double bit ecc': 'retired_pages/double_bit_retirement/retired_count',
  'retired pages/pending page blacklist': 'retired_pages/pending_blacklist',
  'remapped rows/correctable error': 'remapped_rows/remapped_row_corr',
  'remapped rows/uncorrectable error': 'remapped_rows/remapped_row_unc',
  'remapped rows/pending': 'remapped_rows/remapped_row_pending',
  'remapped rows/remapping failure occurred': 'remapped_rows/remapped_row_failure',
  'ecc errors/aggregate/sram threshold exceeded': 'ecc_errors/aggregate/sram_threshold_exceeded',
  'ecc errors/volatile/single bit/total': 'ecc_errors/volatile/single_bit/total',
  'ecc errors/volatile/double bit/total': 'ecc_errors/volatile/double_bit/total',
  'ecc errors/aggregate/single bit/total': 'ecc_errors/aggregate/single_bit/total',
  'ecc errors/aggregate/double bit/total': 'ecc_errors/aggregate/double_bit/total',
  ...block('utilization', 'utilization', {
    gpu: 'gpu_util',
    memory: 'memory_util',
    encoder: 'encoder_util',
    decoder: 'decoder_util',
    jpeg: 'jpeg_util',
    ofa: 'ofa_util',
  }),
  ...block('clocks', 'clocks', { graphics: 'graphics_clock', sm: 'sm_clock', memory: 'mem_clock', video: 'video_clock' }),
  ...block('max clocks', 'max_clocks', { sm: 'sm_clock', memory: 'mem_clock' }),
  ...memory('fb memory usage'),
  ...reasons('clocks event reasons', 'clocks_event_reasons/clocks_event_reason_'),
  ...reasons('clocks throttle reasons', 'clocks_throttle_reasons/clocks_throttle_reason_'),
  ...block('clocks event reasons counters', 'clocks_event_reasons_counters', {
    'sw power capping': 'clocks_event_reasons_counters_sw_power_cap',
    'sw thermal slowdown': 'clocks_event_reasons_counters_sw_therm_slowdown',
    'hw thermal slowdown': 'clocks_event_reasons_counters_hw_therm_slowdown',
    'hw power braking': 'clocks_event_reasons_counters_hw_power_brake',
  }),
  ...eccSpan('volatile'),
  ...eccSpan('aggregate'),
};

const devicePaths: Readonly<Record<string, string>> = {
  index: 'index',
  'gpu instance id': 'gpu_instance_id',
  'compute instance id': 'compute_instance_id',
  'device attributes/shared/multiprocessor count': 'device_attributes/shared/multiprocessor_count',
  'ecc errors/volatile/sram uncorrectable': 'ecc_error_count/volatile_count/sram_uncorrectable',
  ...memory('fb memory usage'),
  ...memory('shared fb memory usage'),
};

const processPaths: Readonly<Record<string, string>> = {
  'gpu instance id': 'gpu_instance_id',
  'compute instance id': 'compute_instance_id',
  'process id': 'pid',
  'process id/type': 'type',
  'process id/name': 'process_name',
  'process id/used gpu memory': 'used_memory',
};

function block(label: string, element: string, names: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(names).map(([name, child]) => [`${label}/${name}`, `${element}/${child}`]));
}

function memory(label: string): Readonly<Record<string, string>> {
  return block(label, 'fb_memory_usage', { total: 'total', reserved: 'reserved', used: 'used', free: 'free' });
}

function reasons(label: string, prefix: string): Readonly<Record<string, string>> {
  return {
    [`${label}/sw power cap`]: `${prefix}sw_power_cap`,
    [`${label}/sw thermal slowdown`]: `${prefix}sw_thermal_slowdown`,
    [`${label}/hw slowdown/hw thermal slowdown`]: `${prefix}hw_thermal_slowdown`,
    [`${label}/hw slowdown/hw power brake slowdown`]: `${prefix}hw_power_brake_slowdown`,
  };
}

function eccSpan(span: string): Readonly<Record<string, string>> {
  return block(`ecc errors/${span}`, `ecc_errors/${span}`, {
    'sram correctable': 'sram_correctable',
    'sram uncorrectable': 'sram_uncorrectable',
    'sram uncorrectable parity': 'sram_uncorrectable_parity',
    'sram uncorrectable sec-ded': 'sram_uncorrectable_secded',
    'dram correctable': 'dram_correctable',
    'dram uncorrectable': 'dram_uncorrectable',
  });
}

const line = /^( *)(\S.*?)(?:\s+:(?: (.*))?)?$/;
const gpuLabel = /^GPU ([0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-9A-Fa-f])$/;
const depthMax = 12;

export function parseDeviceText(text: string): Parsed<DeviceLog> {
  const root = entriesOf(text);
  const gpus = root.filter((entry) => gpuLabel.test(entry.label));
  const attached = printedAt(root, 'attached gpus');
  // The text has no end of its own.
  if (attached !== String(gpus.length)) return unreadable(`${gpus.length} GPUs where ${attached || 'no number'} is attached`);
  const cut = gpus.find((gpu) => !gpu.children.some((own) => own.label === 'Processes'));
  if (cut !== undefined) return unreadable('a GPU without its processes', cut.label);
  return readDeviceTree({
    driver_version: printedAt(root, 'driver version'),
    kmd_version: printedAt(root, 'kmd version'),
    gpu: gpus.map((gpu) => ({
      ...elements(gpu.children, paths),
      '@id': gpuLabel.exec(gpu.label)?.[1] ?? '',
      mig_devices: {
        mig_device: gpu.children.filter((own) => own.label === 'MIG Device').map((own) => elements(own.children, devicePaths)),
      },
      processes: { process_info: processesOf(gpu).map((own) => elements(own, processPaths)) },
    })),
  });
}

/** A process begins with its instance, or where that is not printed with its id. */
function processesOf(gpu: Entry): readonly (readonly Entry[])[] {
  const found: Entry[][] = [];
  for (const entry of gpu.children.find((own) => own.label === 'Processes')?.children ?? []) {
    const begins = /^GPU instance ID$/i.test(entry.label) || (/^Process ID$/i.test(entry.label) && (found.at(-1)?.some(isPid) ?? true));
    if (begins) found.push([]);
    found.at(-1)?.push(entry);
  }
  return found;
}

function isPid(entry: Entry): boolean {
  return /^Process ID$/i.test(entry.label);
}

function entriesOf(text: string): readonly Entry[] {
  const root: Entry = { label: '', value: '', depth: -1, children: [] };
  const path: Entry[] = [root];
  for (const raw of linesOf(text)) {
    const match = line.exec(raw.trimEnd());
    if (match?.[2] === undefined) continue;
    const depth = (match[1] ?? '').length;
    while (path.length > 1 && (path.at(-1)?.depth ?? -1) >= depth) path.pop();
    const entry: Entry = { label: match[2].trim(), value: (match[3] ?? '').trim(), depth, children: [] };
    if (path.length > depthMax) continue;
    path.at(-1)?.children.push(entry);
    path.push(entry);
  }
  return root.children;
}

function printedAt(entries: readonly Entry[], label: string): string {
  return entries.find((own) => own.label.toLowerCase() === label)?.value ?? '';
}

function elements(entries: readonly Entry[], table: Readonly<Record<string, string>>): LogNode {
  const made: Record<string, unknown> = {};
  const walk = (own: readonly Entry[], above: string): void => {
    for (const entry of own) {
      const key = `${above}${entry.label.toLowerCase()}`;
      const path = Object.hasOwn(table, key) ? table[key] : undefined;
      if (path !== undefined) place(made, path.split('/'), entry.value);
      walk(entry.children, `${key}/`);
    }
  };
  walk(entries, '');
  return made;
}

function place(into: Record<string, unknown>, path: readonly string[], value: string): void {
  const [name, ...rest] = path;
  if (name === undefined) return;
  if (rest.length === 0) {
    into[name] ??= value;
    return;
  }
  into[name] ??= {};
  const inner = into[name];
  if (typeof inner === 'object' && inner !== null) place(inner as Record<string, unknown>, rest, value);
}
