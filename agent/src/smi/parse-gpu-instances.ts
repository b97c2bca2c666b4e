// `nvidia-smi mig -lgi`
import { parseBoxTable } from './box-table.ts';
import { type Parsed, parsed, unreadable } from './parsed.ts';

export interface GpuInstanceRow {
  readonly gpuIndex: number;
  /** Without the leading `MIG `. */
  readonly profileName: string;
  readonly profileId: number;
  readonly gpuInstanceId: number;
  readonly start: number;
  readonly size: number;
}

/** How nvidia-smi says that there is nothing to list; with an error exit. */
export const noInstances = /No MIG-(?:enabled|supported) devices found|No (?:GPU|compute) instances found: Not Found/i;

const entry = /^(\d{1,4})\s+MIG (\S+)\s+(\d{1,4})\s+(\d{1,4})\s+(\d{1,4}):([1-9]\d{0,3})$/;

export function parseGpuInstances(text: string): Parsed<readonly GpuInstanceRow[]> {
  if (noInstances.test(text) && !text.includes('|')) return parsed([]);
  const table = parseBoxTable(text, 'GPU instances:');
  if (table.kind === 'unreadable') return table;
  const rows: GpuInstanceRow[] = [];
  for (const lines of table.value) {
    const match = lines.length === 1 ? entry.exec(lines[0] ?? '') : null;
    if (match?.[2] === undefined) return unreadable('not a GPU instance', lines.join(' '));
    rows.push({
      gpuIndex: Number(match[1]),
      profileName: match[2],
      profileId: Number(match[3]),
      gpuInstanceId: Number(match[4]),
      start: Number(match[5]),
      size: Number(match[6]),
    });
  }
  return parsed(rows);
}
