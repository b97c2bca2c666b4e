// Pod lists as in the openb trace of Alibaba's clusters (CSV with a header; times in seconds).

export interface TracePod {
  readonly name: string;
  readonly cpuMilli: number;
  readonly memoryMiB: number;
  readonly gpuCount: number;
  /** Thousandths of one GPU; below 1000 the pod shares it. */
  readonly gpuMilli: number;
  /** Models it accepts; empty when any. */
  readonly models: readonly string[];
  readonly createdSeconds: number;
  /** Absent when it was still there at the end of the trace, or was never placed. */
  readonly ranSeconds: number | undefined;
}

const columns = [
  'name',
  'cpu_milli',
  'memory_mib',
  'num_gpu',
  'gpu_milli',
  'gpu_spec',
  'creation_time',
  'deletion_time',
  'scheduled_time',
] as const;

/** Throws with the line at fault. Rows come in the order of their creation. */
export function parsePodTrace(text: string, limit = Number.POSITIVE_INFINITY): TracePod[] {
  const lines = text.split(/\r?\n/);
  const header = lines[0]?.replace(/^\ufeff/, '').split(',') ?? [];
  const missing = columns.filter((column) => !header.includes(column));
  if (missing.length > 0) throw new Error(`line 1: no column ${missing.join(', ')}`);

  const pods: TracePod[] = [];
  for (const [index, line] of lines.entries()) {
    if (index === 0 || line.trim() === '') continue;
    if (pods.length >= limit) break;
    const cells = line.split(',');
    if (cells.length !== header.length) throw new Error(`line ${index + 1}: ${cells.length} cells where the header has ${header.length}`);
    pods.push(podOf((column) => cells[header.indexOf(column)] ?? '', index + 1));
  }
  return pods.sort((a, b) => a.createdSeconds - b.createdSeconds);
}

function podOf(cell: (column: (typeof columns)[number]) => string, line: number): TracePod {
  const number = (column: (typeof columns)[number]): number => {
    const value = Number(cell(column));
    if (cell(column).trim() === '' || !Number.isFinite(value) || value < 0)
      throw new Error(`line ${line}: ${column} is ${JSON.stringify(cell(column))}, not a number`);
    return value;
  };
  const optional = (column: (typeof columns)[number]): number | undefined => (cell(column).trim() === '' ? undefined : number(column));
  const created = number('creation_time');
  const deleted = optional('deletion_time');
  const began = optional('scheduled_time') ?? created;
  return {
    name: cell('name'),
    cpuMilli: number('cpu_milli'),
    memoryMiB: number('memory_mib'),
    gpuCount: number('num_gpu'),
    gpuMilli: number('gpu_milli'),
    models: cell('gpu_spec').split('|').filter(Boolean),
    createdSeconds: created,
    ranSeconds: deleted === undefined ? undefined : Math.max(0, deleted - began),
  };
}
