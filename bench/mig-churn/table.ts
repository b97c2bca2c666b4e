import type { ChurnOutcome } from '@astrago/controller/core/mig/churn';

/** A mean of paired differences and its standard error, both in percentage points. */
export interface Difference {
  readonly mean: number;
  readonly error: number;
}

export interface Row {
  readonly mix: string;
  readonly rho: number;
  readonly policy: string;
  readonly seeds: number;
  /** Percent of requests, of slices asked for, of slices there are. */
  readonly count: number;
  readonly slices: number;
  readonly used: number;
  readonly movesPerHundred: number;
  readonly unitsMovedPerHundred: number;
  readonly differences: readonly { readonly to: string; readonly count: Difference; readonly slices: Difference }[];
  readonly arrivals: number;
  readonly decisionsPerSecond: number;
}

export function paired(
  own: readonly ChurnOutcome[],
  rival: readonly ChurnOutcome[],
): { readonly count: Difference; readonly slices: Difference } {
  const difference = (of: (one: ChurnOutcome) => number): Difference => {
    const values = own.map((one, at) => 100 * (of(one) - (rival[at] === undefined ? Number.NaN : of(rival[at]))));
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, values.length - 1);
    return { mean, error: Math.sqrt(variance / values.length) };
  };
  return { count: difference((one) => one.count), slices: difference((one) => one.units) };
}

export function rowText(row: Row): string {
  const signed = ({ mean, error }: Difference): string => `${mean < 0 ? '' : '+'}${mean.toFixed(2)}±${error.toFixed(2)}`;
  return [
    row.mix.padEnd(10),
    `rho ${row.rho.toFixed(2)}`,
    row.policy.padEnd(24),
    `count ${row.count.toFixed(2)}  slices ${row.slices.toFixed(2)}  used ${row.used.toFixed(2)}`,
    ...row.differences.map(({ to, count, slices }) => `to ${to} ${signed(count)} ${signed(slices)}`),
    row.movesPerHundred === 0 ? '' : `moves ${row.movesPerHundred.toFixed(2)} (${row.unitsMovedPerHundred.toFixed(1)} slices) per 100`,
    `${row.decisionsPerSecond}/s`,
  ]
    .filter((part) => part !== '')
    .join('  ');
}
