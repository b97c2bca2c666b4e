import type { GpuModel } from './gpu-model.ts';
import type { GpuHealth } from './health.ts';
import type { GpuState } from './machine-state.ts';

const na = '[N/A]';

/** Rows and pages of `--query-gpu`: a board does the one or the other. Undefined for any other field. */
export function repairField(model: GpuModel, gpu: GpuState, health: GpuHealth, name: string): string | number | undefined {
  const banks = model.rowRemapBanks;
  const { remappedRows: rows, retiredPages: pages } = health;
  const histogram = /^remapped_rows\.histogram\.(\w+)$/.exec(name)?.[1];
  if (histogram !== undefined) {
    if (banks === null) return na;
    const worn = rows?.histogram ?? {};
    if (histogram === 'max') return Object.values(worn).reduce((left, count) => left - count, banks);
    return worn[histogram as keyof typeof worn] ?? 0;
  }
  const rowsShown = banks !== null && !gpu.migCurrent;
  switch (name) {
    case 'remapped_rows.correctable':
      return rowsShown ? (rows?.correctable ?? 0) : na;
    case 'remapped_rows.uncorrectable':
      return rowsShown ? (rows?.uncorrectable ?? 0) : na;
    case 'remapped_rows.correctable_inactive':
    case 'remapped_rows.uncorrectable_inactive':
      return rowsShown ? 0 : na;
    case 'remapped_rows.pending':
      return rowsShown ? yes(rows?.pending) : na;
    case 'remapped_rows.failure':
      return rowsShown ? yes(rows?.failure) : na;
    case 'retired_pages.single_bit_ecc.count':
      return banks === null ? (pages?.singleBit ?? 0) : na;
    case 'retired_pages.double_bit.count':
      return banks === null ? (pages?.doubleBit ?? 0) : na;
    case 'retired_pages.pending':
      return banks === null ? yes(pages?.pending) : na;
    default:
      return undefined;
  }
}

function yes(on: boolean | undefined): string {
  return on ? 'Yes' : 'No';
}
