import { parseGpuUuid } from '@astrago/shared/domain/ids';
import type { Reading } from '../app/ports.ts';
import { parseQueryRows } from './parse-query-rows.ts';
import { type Parsed, parsed, unreadable } from './parsed.ts';
import { printedAmount, printedNumber } from './printed-value.ts';

export const readingFields = ['uuid', 'utilization.gpu', 'memory.used', 'temperature.gpu', 'power.draw'] as const;

/** With MIG on, utilisation is `[N/A]` and so absent; the rest is of the whole board. */
export function parseReadings(text: string, fields: readonly (typeof readingFields)[number][]): Parsed<readonly Reading[]> {
  const rows = parseQueryRows<string>(text, fields);
  if (rows.kind === 'unreadable') return rows;
  const readings: Reading[] = [];
  for (const row of rows.value) {
    // A stand-in may print its header whatever it is told.
    if (row['uuid'] === 'uuid') continue;
    const gpuUuid = parseGpuUuid(row['uuid'] ?? '');
    if (gpuUuid === undefined) return unreadable('a reading without a UUID', Object.values(row).join(', '));
    const percent = printedAmount(row['utilization.gpu'] ?? '');
    readings.push({
      gpuUuid,
      utilizationRatio: percent === undefined || percent > 100 ? undefined : percent / 100,
      memoryUsedMiB: printedAmount(row['memory.used'] ?? ''),
      temperatureCelsius: printedNumber(row['temperature.gpu'] ?? ''),
      powerWatts: printedAmount(row['power.draw'] ?? ''),
    });
  }
  return parsed(readings);
}
