// The picture of one GPU along its placement units: every slice where it lies, a dot for every unit not cut.
import type { Gpu } from '@astrago/api';
import { percentOfMilli } from './quantity.ts';

/**
 * `[3g.40gb train-a|1g.10gb -|....]`: profile and workload, `-` when free. `+` marks a slice that is ordered and not made yet,
 * `~` one that is there and no longer ordered. A GPU that is not cut is `[whole train-a]`, and one that is shared
 * `[mps 30% train-a|20% train-b|50% -]`.
 */
export function slotMap(gpu: Pick<Gpu, 'slices' | 'shares' | 'units' | 'workload' | 'migEnabled' | 'layout'>): string {
  if (gpu.shares.length > 0) return sharesMap(gpu.shares);
  const cut = gpu.slices.length > 0 || (gpu.layout?.kind ?? (gpu.migEnabled ? 'mig' : 'whole')) === 'mig';
  if (!cut) return `[whole ${gpu.workload ?? '-'}]`;

  const cells: string[] = [];
  let unit = 0;
  for (const slice of [...gpu.slices].sort((a, b) => a.start - b.start)) {
    if (slice.start > unit) cells.push('.'.repeat(slice.start - unit));
    const mark = slice.state === 'wanted' ? '+' : slice.state === 'unwanted' ? '~' : '';
    cells.push(`${mark}${slice.profile} ${slice.workload ?? '-'}`);
    unit = Math.max(unit, slice.start + slice.size);
  }
  if (unit < gpu.units.memory) cells.push('.'.repeat(gpu.units.memory - unit));
  return `[${cells.join('|')}]`;
}

function sharesMap(shares: Gpu['shares']): string {
  const kinds = [...new Set(shares.map(({ by }) => by))].join('+');
  const cells = shares.map(({ milli, workload }) => `${percentOfMilli(milli)} ${workload}`);
  const free = 1000 - shares.reduce((sum, { milli }) => sum + milli, 0);
  if (free > 0) cells.push(`${percentOfMilli(free)} -`);
  return `[${kinds} ${cells.join('|')}]`;
}
