// `nvidia-smi mig -lci`
import { parseBoxTable } from './box-table.ts';
import { noInstances } from './parse-gpu-instances.ts';
import { type Parsed, parsed, unreadable } from './parsed.ts';

export interface ComputeInstanceRow {
  readonly gpuIndex: number;
  readonly gpuInstanceId: number;
  /** Without the leading `MIG `; `1c.3g.40gb` for a part of its GPU instance. */
  readonly profileName: string;
  readonly profileId: number;
  readonly computeInstanceId: number;
}

/** Drivers before R510 print no placement column; nothing here needs it. */
const entry = /^(\d{1,4})\s+(\d{1,4})\s+MIG (\S+)\s+(\d{1,4})\s+(\d{1,4})(?:\s+\d{1,4}:\d{1,4})?$/;

export function parseComputeInstances(text: string): Parsed<readonly ComputeInstanceRow[]> {
  if (noInstances.test(text) && !text.includes('|')) return parsed([]);
  const table = parseBoxTable(text, 'Compute instances:');
  if (table.kind === 'unreadable') return table;
  const rows: ComputeInstanceRow[] = [];
  for (const lines of table.value) {
    const match = lines.length === 1 ? entry.exec(lines[0] ?? '') : null;
    if (match?.[3] === undefined) return unreadable('not a compute instance', lines.join(' '));
    rows.push({
      gpuIndex: Number(match[1]),
      gpuInstanceId: Number(match[2]),
      profileName: match[3],
      profileId: Number(match[4]),
      computeInstanceId: Number(match[5]),
    });
  }
  return parsed(rows);
}
