// `nvidia-smi mig -lgip`
import { parseBoxTable } from './box-table.ts';
import { noInstances } from './parse-gpu-instances.ts';
import { type Parsed, parsed, unreadable } from './parsed.ts';

export interface GpuInstanceProfileRow {
  readonly gpuIndex: number;
  /** Without the leading `MIG `. */
  readonly profileName: string;
  readonly profileId: number;
  /** How many more fit now. */
  readonly free: number;
  readonly total: number;
  readonly memoryGiB: number;
}

/** Engine counts follow, on this and the next line; which ones depends on the driver, and none is needed. */
const entry = /^(\d{1,4})\s+MIG (\S+)\s+(\d{1,4})\s+(\d{1,4})\/(\d{1,4})\s+(\d{1,6}(?:\.\d{1,4})?)\s+(?:Yes|No)\b/;

export function parseGpuInstanceProfiles(text: string): Parsed<readonly GpuInstanceProfileRow[]> {
  if (noInstances.test(text) && !text.includes('|')) return parsed([]);
  const table = parseBoxTable(text, 'GPU instance profiles:');
  if (table.kind === 'unreadable') return table;
  const rows: GpuInstanceProfileRow[] = [];
  for (const lines of table.value) {
    const match = lines.length === 2 ? entry.exec(lines[0] ?? '') : null;
    if (match?.[2] === undefined) return unreadable('not a GPU instance profile', lines.join(' '));
    rows.push({
      gpuIndex: Number(match[1]),
      profileName: match[2],
      profileId: Number(match[3]),
      free: Number(match[4]),
      total: Number(match[5]),
      memoryGiB: Number(match[6]),
    });
  }
  return parsed(rows);
}
