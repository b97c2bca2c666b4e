import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GpuState } from './machine-state.ts';

/** `health.json` of a machine: what ails its GPUs, by UUID or index. Whatever is absent is well. */
export type MachineHealth = Readonly<Record<string, GpuHealth>>;

export interface GpuHealth {
  readonly ecc?: {
    readonly corrected?: EccCounts;
    readonly uncorrected?: EccCounts;
    readonly sramThresholdExceeded?: boolean;
  };
  readonly remappedRows?: {
    readonly correctable?: number;
    readonly uncorrectable?: number;
    readonly pending?: boolean;
    readonly failure?: boolean;
    /** Banks; the rest of them have all their spare rows. */
    readonly histogram?: { readonly high?: number; readonly partial?: number; readonly low?: number; readonly none?: number };
  };
  /** Only on boards that retire pages instead of remapping rows. */
  readonly retiredPages?: { readonly singleBit?: number; readonly doubleBit?: number; readonly pending?: boolean };
  /** Reasons that are active. The two hardware causes bring `hw_slowdown` along. */
  readonly eventReasons?: readonly EventReason[];
  /** Microseconds; from driver 580 on in the XML. */
  readonly eventCountersUs?: Readonly<Partial<Record<CountedReason, number>>>;
  readonly pcie?: { readonly generation?: number; readonly width?: number; readonly replays?: number };
  readonly temperatureC?: number;
  readonly memoryTemperatureC?: number;
  readonly powerWatts?: number;
  /** `None`, `Reset`, `Reboot`, `Drain P2P`, `Drain and Reset`. */
  readonly recoveryAction?: string;
  readonly fabric?: { readonly state?: string; readonly status?: string; readonly summary?: string };
  /** Texts for fields of `--query-gpu`, such as `[Unknown Error]` or `[GPU requires reset]`, whatever the truth is. */
  readonly fields?: Readonly<Record<string, string>>;
  /** Texts for elements of `-q -x`, and so for the lines of `-q`: every one of that name, `ERR!` for example. */
  readonly elements?: Readonly<Record<string, string>>;
}

export interface EccCounts {
  readonly volatile?: { readonly sram?: number; readonly dram?: number };
  readonly aggregate?: { readonly sram?: number; readonly dram?: number };
}

/** Bits of `clocks_event_reasons.active`, as NVML numbers them. */
const reasonBits = {
  gpu_idle: 0x1,
  applications_clocks_setting: 0x2,
  sw_power_cap: 0x4,
  hw_slowdown: 0x8,
  sync_boost: 0x10,
  sw_thermal_slowdown: 0x20,
  hw_thermal_slowdown: 0x40,
  hw_power_brake_slowdown: 0x80,
  display_clocks_setting: 0x100,
} as const;

export type EventReason = keyof typeof reasonBits;
type CountedReason = 'sw_power_cap' | 'sync_boost' | 'sw_thermal_slowdown' | 'hw_thermal_slowdown' | 'hw_power_brake_slowdown';

export function readHealth(directory: string): MachineHealth {
  try {
    return JSON.parse(readFileSync(join(directory, 'health.json'), 'utf8')) as MachineHealth;
  } catch {
    // None, or in the middle of being written.
    return {};
  }
}

export function healthOf(health: MachineHealth, gpu: GpuState): GpuHealth {
  return health[gpu.uuid] ?? health[String(gpu.index)] ?? {};
}

/** What is active, idleness included where nothing runs and nothing is wrong. */
export function activeReasons(health: GpuHealth, busy: boolean): ReadonlySet<EventReason> {
  const active = new Set(health.eventReasons ?? []);
  if (active.has('hw_thermal_slowdown') || active.has('hw_power_brake_slowdown')) active.add('hw_slowdown');
  if (!busy && active.size === 0) active.add('gpu_idle');
  return active;
}

/** A field of `--query-gpu` that health has a say in; undefined where it has none. */
export function healthField(health: GpuHealth, name: string, busy: boolean): string | number | undefined {
  const reason = /^clocks_event_reasons\.(\w+)$/.exec(name)?.[1];
  if (reason === 'active') {
    const mask = [...activeReasons(health, busy)].reduce((bits, one) => bits | reasonBits[one], 0);
    return `0x${mask.toString(16).toUpperCase().padStart(16, '0')}`;
  }
  if (reason !== undefined && reason in reasonBits) return activeReasons(health, busy).has(reason as EventReason) ? 'Active' : 'Not Active';
  const counter = /^clocks_event_reasons_counters\.(\w+)$/.exec(name)?.[1];
  if (counter !== undefined) return health.eventCountersUs?.[counter as CountedReason] ?? 0;
  const ecc = /^ecc\.errors\.(corrected|uncorrected)\.(volatile|aggregate)\.(\w+)(?:\.(\w+))?$/.exec(name);
  if (ecc) return eccField(health, ecc);
  switch (name) {
    case 'pcie.link.gen.current':
    case 'pcie.link.gen.gpucurrent':
      return health.pcie?.generation;
    case 'pcie.link.width.current':
      return health.pcie?.width;
    case 'gpu_recovery_action':
      return health.recoveryAction;
    case 'fabric.state':
      return health.fabric?.state;
    case 'fabric.status':
      return health.fabric?.status;
    case 'fabric.health.summary':
      return health.fabric?.summary;
    default:
      return undefined;
  }
}

function eccField(health: GpuHealth, [, kind, since, where, part]: RegExpExecArray): string | number | undefined {
  const counts = health.ecc?.[kind as 'corrected' | 'uncorrected']?.[since as 'volatile' | 'aggregate'];
  const { sram = 0, dram = 0 } = counts ?? {};
  if (where === 'sram' && part !== undefined) {
    if (part === 'thresholdExceeded') return health.ecc?.sramThresholdExceeded ? 'Yes' : 'No';
    // All of them are of the kind that two bits make, and of the multiprocessors.
    return part === 'secded' || part === 'sm' ? sram : 0;
  }
  switch (where) {
    case 'dram':
    case 'device_memory':
      return dram;
    case 'sram':
      return sram;
    case 'total':
      return sram + dram;
    default:
      return undefined;
  }
}

/** Values for the skeleton of `-q -x`. */
export function healthValues(health: GpuHealth, busy: boolean): Readonly<Record<string, string | number>> {
  const active = activeReasons(health, busy);
  const reasons = Object.keys(reasonBits).map((name) => [`reason_${name}`, active.has(name as EventReason) ? 'Active' : 'Not Active']);
  const counters = ['sw_power_cap', 'sync_boost', 'sw_thermal_slowdown', 'hw_thermal_slowdown', 'hw_power_brake_slowdown'].map((name) => [
    `counter_${name}`,
    health.eventCountersUs?.[name as CountedReason] ?? 0,
  ]);
  const ecc = ['corrected', 'uncorrected'].flatMap((kind) =>
    ['volatile', 'aggregate'].flatMap((since) =>
      ['sram', 'dram'].map((where) => {
        const counts = health.ecc?.[kind as 'corrected' | 'uncorrected']?.[since as 'volatile' | 'aggregate'];
        return [`ecc_${kind}_${since}_${where}`, counts?.[where as 'sram' | 'dram'] ?? 0];
      }),
    ),
  );
  return {
    ...Object.fromEntries([...reasons, ...counters, ...ecc]),
    sramThreshold: health.ecc?.sramThresholdExceeded ? 'Yes' : 'No',
    recoveryAction: health.recoveryAction ?? 'None',
    needsReset: /Reset/.test(health.recoveryAction ?? '') ? 'Yes' : 'No',
    drains: /Drain and Reset/.test(health.recoveryAction ?? '') ? 'Yes' : 'No',
    replays: health.pcie?.replays ?? 0,
  };
}
