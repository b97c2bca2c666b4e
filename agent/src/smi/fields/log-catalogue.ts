// Which elements of `-q -x` give a measure: paths below `gpu`, of the DTDs v10 to v13.
import type { GpuMeasure, GpuWords, SliceMeasure } from '#core/telemetry/sample';
import { any, first, type Recipe, sum } from './recipe.ts';

/** Until 535 the elements were called `clocks_throttle_reasons` and `power_readings`. */
function reason(name: string): readonly string[] {
  return [`clocks_event_reasons/clocks_event_reason_${name}`, `clocks_throttle_reasons/clocks_throttle_reason_${name}`];
}

function reasonTime(name: string): string {
  return `clocks_event_reasons_counters/clocks_event_reasons_counters_${name}`;
}

/** On-chip and device memory apart since Turing, before that single and double bit errors. */
function corrected(span: 'volatile' | 'aggregate'): readonly Recipe[] {
  return [sum(`ecc_errors/${span}/sram_correctable`, `ecc_errors/${span}/dram_correctable`), first(`ecc_errors/${span}/single_bit/total`)];
}

function uncorrected(span: 'volatile' | 'aggregate'): readonly Recipe[] {
  const of = ['sram_uncorrectable', 'sram_uncorrectable_parity', 'sram_uncorrectable_secded', 'dram_uncorrectable'];
  return [sum(...of.map((name) => `ecc_errors/${span}/${name}`)), first(`ecc_errors/${span}/double_bit/total`)];
}

/** The first recipe that comes to something counts. */
export const logMeasures: Readonly<Partial<Record<GpuMeasure, readonly Recipe[]>>> = {
  'gpu-utilization': [first('utilization/gpu_util')],
  'memory-utilization': [first('utilization/memory_util')],
  'encoder-utilization': [first('utilization/encoder_util')],
  'decoder-utilization': [first('utilization/decoder_util')],
  'jpeg-utilization': [first('utilization/jpeg_util')],
  'ofa-utilization': [first('utilization/ofa_util')],
  'memory-total': [first('fb_memory_usage/total')],
  'memory-reserved': [first('fb_memory_usage/reserved')],
  'memory-used': [first('fb_memory_usage/used')],
  'memory-free': [first('fb_memory_usage/free')],
  temperature: [first('temperature/gpu_temp')],
  'temperature-margin': [first('temperature/gpu_temp_tlimit')],
  'memory-temperature': [first('temperature/memory_temp')],
  'fan-speed': [first('fan_speed')],
  power: [
    first(
      'gpu_power_readings/average_power_draw',
      ['gpu_power_readings/power_draw', 'power_readings/power_draw'],
      'gpu_power_readings/instant_power_draw',
    ),
  ],
  'power-limit': [
    first(
      // 610 puts the limits into a block of their own.
      ['gpu_power_readings/current_power_limit', 'gpu_power_readings/*/current_power_limit', 'power_readings/enforced_power_limit'],
      ['gpu_power_readings/requested_power_limit', 'gpu_power_readings/*/requested_power_limit', 'power_readings/power_limit'],
    ),
  ],
  energy: [first('gpu_power_readings/total_energy_consumption')],
  'performance-state': [first('performance_state')],
  'sm-clock': [first('clocks/sm_clock')],
  'memory-clock': [first('clocks/mem_clock')],
  'graphics-clock': [first('clocks/graphics_clock')],
  'video-clock': [first('clocks/video_clock')],
  'sm-clock-max': [first('max_clocks/sm_clock')],
  'memory-clock-max': [first('max_clocks/mem_clock')],
  'slowed-by-thermal': [any(reason('hw_thermal_slowdown'), reason('sw_thermal_slowdown'))],
  'slowed-by-power-cap': [any(reason('sw_power_cap'))],
  'slowed-by-power-brake': [any(reason('hw_power_brake_slowdown'))],
  'thermal-slowdown-time': [sum(reasonTime('hw_therm_slowdown'), reasonTime('sw_therm_slowdown'))],
  'power-cap-time': [sum(reasonTime('sw_power_cap'))],
  'power-brake-time': [sum(reasonTime('hw_power_brake'))],
  'ecc-corrected': corrected('volatile'),
  'ecc-uncorrected': uncorrected('volatile'),
  'ecc-corrected-lifetime': corrected('aggregate'),
  'ecc-uncorrected-lifetime': uncorrected('aggregate'),
  'sram-threshold-exceeded': [first('ecc_errors/aggregate/sram_threshold_exceeded')],
  'remapped-rows-correctable': [first('remapped_rows/remapped_row_corr')],
  'remapped-rows-uncorrectable': [first('remapped_rows/remapped_row_unc')],
  'row-remap-pending': [first('remapped_rows/remapped_row_pending')],
  'row-remap-failure': [first('remapped_rows/remapped_row_failure')],
  'retired-pages-single-bit': [first('retired_pages/multiple_single_bit_retirement/retired_count')],
  'retired-pages-double-bit': [first('retired_pages/double_bit_retirement/retired_count')],
  'retired-pages-pending': [first(['retired_pages/pending_retirement', 'retired_pages/pending_blacklist'])],
  'pcie-generation': [first('pci/pci_gpu_link_info/pcie_gen/device_current_link_gen', 'pci/pci_gpu_link_info/pcie_gen/current_link_gen')],
  'pcie-generation-max': [first('pci/pci_gpu_link_info/pcie_gen/max_link_gen')],
  'pcie-width': [first('pci/pci_gpu_link_info/link_widths/current_link_width')],
  'pcie-width-max': [first('pci/pci_gpu_link_info/link_widths/max_link_width')],
  'pcie-replays': [first('pci/replay_counter')],
  'pcie-sent': [first('pci/tx_util')],
  'pcie-received': [first('pci/rx_util')],
  'encoder-sessions': [first('encoder_stats/session_count')],
};

export const logWords = {
  computeMode: 'compute_mode',
  persistence: 'persistence_mode',
  recoveryAction: 'gpu_recovery_action',
  fabricState: 'fabric/state',
  fabricStatus: 'fabric/status',
} as const satisfies Readonly<Record<keyof GpuWords, string>>;

/** Paths below `mig_device`. */
export const logSliceMeasures: Readonly<Partial<Record<SliceMeasure, Recipe>>> = {
  'memory-total': first('fb_memory_usage/total'),
  'memory-reserved': first('fb_memory_usage/reserved'),
  'memory-used': first('fb_memory_usage/used'),
  'memory-free': first('fb_memory_usage/free'),
  'sram-uncorrected': first(['ecc_error_count/volatile_count/sram_uncorrectable', 'ecc_errors/volatile/sram_uncorrectable']),
  multiprocessors: first('device_attributes/shared/multiprocessor_count'),
};
