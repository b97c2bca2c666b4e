// `nvidia-smi --query-compute-apps=gpu_uuid,pid,used_gpu_memory,process_name --format=csv`: who computes where, but not in
// which instance.
import { type GpuUuid, parseGpuUuid } from '@astrago/shared/domain/ids';
import { linesOf, type Parsed, parsed, unreadable } from './parsed.ts';
import { printedAmount, printedId } from './printed-value.ts';

export interface ComputeApp {
  readonly gpuUuid: GpuUuid;
  readonly pid: number;
  readonly name: string;
  readonly usedMemoryMiB: number | undefined;
}

/** The name comes last, where its commas do no harm; a header that says otherwise is believed. */
export const computeAppFields = ['gpu_uuid', 'pid', 'used_gpu_memory', 'process_name'] as const;

const aliases: Readonly<Record<string, string>> = { name: 'process_name', used_memory: 'used_gpu_memory' };
const message = /^(?:Unable to |Failed to |No devices were found|GPU is lost|Warning: |No running processes)/i;

/** No line at all is a machine on which nothing computes. */
export function parseComputeApps(text: string, asked: readonly string[] = computeAppFields): Parsed<readonly ComputeApp[]> {
  let fields: readonly string[] = asked;
  const found: ComputeApp[] = [];
  for (const line of linesOf(text)) {
    if (line.trim() === '' || message.test(line.trim())) continue;
    const cells = line.split(',');
    const named = cells.map((cell) => (cell.split('[')[0] ?? '').trim()).map((name) => aliases[name] ?? name);
    if (named.includes('pid')) {
      fields = named;
      continue;
    }
    const nameAt = fields.indexOf('process_name');
    const surplus = cells.length - fields.length;
    if (surplus < 0 || (surplus > 0 && nameAt < 0)) return unreadable(`not ${fields.length} cells`, line);
    if (surplus > 0) cells.splice(nameAt, surplus + 1, cells.slice(nameAt, nameAt + surplus + 1).join(','));
    const cell = (field: string): string => (cells[fields.indexOf(field)] ?? '').trim();
    const gpuUuid = parseGpuUuid(cell('gpu_uuid'));
    const pid = printedId(cell('pid'));
    // A process that cannot be read is still one: leaving it out would call its GPU idle.
    if (gpuUuid === undefined || pid === undefined) return unreadable('not a process', line);
    found.push({ gpuUuid, pid, name: cell('process_name'), usedMemoryMiB: printedAmount(cell('used_gpu_memory')) });
  }
  return parsed(found);
}
