// Which `--query-gpu` fields give a measure. Names are from the help texts of drivers 450 to 610; what only the log has
// (see log-catalogue.ts) is missing here.
import type { GpuMeasure, GpuWords } from '#core/telemetry/sample';
import { any, first, type Recipe, sum } from './recipe.ts';

/** `clocks_throttle_reasons.*` until 535. */
function reason(name: string): readonly string[] {
  return [`clocks_event_reasons.${name}`, `clocks_throttle_reasons.${name}`];
}

function reasonTime(name: string): string {
  return `clocks_event_reasons_counters.${name}`;
}

export const queryMeasures: Readonly<Partial<Record<GpuMeasure, Recipe>>> = {
  'gpu-utilization': first('utilization.gpu'),
  'memory-utilization': first('utilization.memory'),
  'encoder-utilization': first('utilization.encoder'),
  'decoder-utilization': first('utilization.decoder'),
  'jpeg-utilization': first('utilization.jpeg'),
  'ofa-utilization': first('utilization.ofa'),
  'memory-total': first('memory.total'),
  'memory-reserved': first('memory.reserved'),
  'memory-used': first('memory.used'),
  'memory-free': first('memory.free'),
  temperature: first('temperature.gpu'),
  'temperature-margin': first('temperature.gpu.tlimit'),
  'memory-temperature': first('temperature.memory'),
  'fan-speed': first('fan.speed'),
  // The average where the board makes one, else what it draws at this moment.
  power: first('power.draw', ['power.draw.average', 'gpu.power.draw.average'], ['power.draw.instant', 'gpu.power.draw.instant']),
  'power-limit': first(['enforced.power.limit', 'gpu.power.current_limit'], ['power.limit', 'gpu.power.requested_limit']),
  energy: first('total_energy_consumption'),
  'performance-state': first('pstate'),
  'sm-clock': first(['clocks.current.sm', 'clocks.sm']),
  'memory-clock': first(['clocks.current.memory', 'clocks.mem']),
  'graphics-clock': first(['clocks.current.graphics', 'clocks.gr']),
  'video-clock': first(['clocks.current.video', 'clocks.video']),
  'sm-clock-max': first('clocks.max.sm'),
  'memory-clock-max': first(['clocks.max.memory', 'clocks.max.mem']),
  'slowed-by-thermal': any(reason('hw_thermal_slowdown'), reason('sw_thermal_slowdown')),
  'slowed-by-power-cap': any(reason('sw_power_cap')),
  'slowed-by-power-brake': any(reason('hw_power_brake_slowdown')),
  'thermal-slowdown-time': sum(reasonTime('hw_thermal_slowdown'), reasonTime('sw_thermal_slowdown')),
  'power-cap-time': sum(reasonTime('sw_power_cap')),
  'power-brake-time': sum(reasonTime('hw_power_brake_slowdown')),
  'ecc-corrected': first('ecc.errors.corrected.volatile.total'),
  'ecc-uncorrected': first('ecc.errors.uncorrected.volatile.total'),
  'ecc-corrected-lifetime': first('ecc.errors.corrected.aggregate.total'),
  'ecc-uncorrected-lifetime': first('ecc.errors.uncorrected.aggregate.total'),
  'sram-threshold-exceeded': first('ecc.errors.uncorrected.aggregate.sram.thresholdExceeded'),
  'remapped-rows-correctable': first(['remapped_rows.correctable', 'remapped_rows.sbe']),
  'remapped-rows-uncorrectable': first(['remapped_rows.uncorrectable', 'remapped_rows.dbe']),
  'row-remap-pending': first('remapped_rows.pending'),
  'row-remap-failure': first('remapped_rows.failure'),
  'retired-pages-single-bit': first(['retired_pages.single_bit_ecc.count', 'retired_pages.sbe']),
  'retired-pages-double-bit': first(['retired_pages.double_bit.count', 'retired_pages.dbe']),
  'retired-pages-pending': first('retired_pages.pending'),
  'pcie-generation': first('pcie.link.gen.gpucurrent', 'pcie.link.gen.current'),
  'pcie-generation-max': first('pcie.link.gen.max'),
  'pcie-width': first('pcie.link.width.current'),
  'pcie-width-max': first('pcie.link.width.max'),
  'encoder-sessions': first('encoder.stats.sessionCount'),
};

export const queryWords = {
  computeMode: ['compute_mode'],
  persistence: ['persistence_mode'],
  recoveryAction: ['gpu_recovery_action'],
  fabricState: ['fabric.state'],
  fabricStatus: ['fabric.status'],
} as const satisfies Readonly<Record<keyof GpuWords, readonly string[]>>;

/** What a row has besides: whose it is, and which driver printed it. */
export const queryKeys = {
  index: ['index'],
  uuid: ['uuid', 'gpu_uuid'],
  driverVersion: ['driver_version', 'kmd_version'],
} as const;

/** Every printed value, each under all its names. The one of free text comes last, where its commas do no harm. */
export const queryFields: readonly (readonly string[])[] = [
  ...Object.values(queryKeys),
  ...Object.values(queryMeasures).flatMap((recipe) => recipe.of),
  ...Object.values(queryWords),
];

/** Not known to the first drivers with MIG; asked for only where the help text names them. */
const newer =
  /^(?:utilization\.(?:encoder|decoder|jpeg|ofa)|memory\.reserved|temperature\.gpu\.tlimit|power\.draw\.|gpu\.power|total_energy|clocks_event|ecc\.errors\.\w+\.\w+\.sram|remapped_rows|pcie\.link\.gen\.gpucurrent|kmd_version|gpu_recovery_action|fabric)/;

export function isOldName(name: string): boolean {
  return !newer.test(name);
}
