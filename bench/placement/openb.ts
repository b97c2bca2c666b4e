// Reads the openb trace: node list, pod lists, and the recorded arrival sequences.
import { readFileSync } from 'node:fs';
import type { AskClass, Demand } from '@astrago/controller/core/placement/demand';

export interface OpenbNode {
  readonly name: string;
  readonly pool: number;
  readonly cpuMilli: number;
  readonly memoryMiB: number;
  readonly gpus: number;
}

export interface OpenbPods {
  readonly demand: Demand;
  /** Class of each pod, in the order of the file. */
  readonly classOf: readonly AskClass[];
}

function rowsOf(file: string): readonly Readonly<Record<string, string>>[] {
  const [head = '', ...lines] = readFileSync(file, 'utf8').trim().split(/\r?\n/);
  const names = head.split(',');
  return lines.map((line) => {
    const cells = line.split(',');
    return Object.fromEntries(names.map((name, at) => [name, cells[at] ?? '']));
  });
}

function whole(row: Readonly<Record<string, string>>, name: string, file: string): number {
  const value = Number(row[name]);
  if (row[name] === undefined || !Number.isInteger(value) || value < 0)
    throw new Error(`${file}: ${name} is ${row[name]}, not a whole number`);
  return value;
}

/** Nodes sorted by name, and the names of their GPU models by pool number. */
export function readNodes(file: string): { readonly nodes: readonly OpenbNode[]; readonly models: readonly string[] } {
  const models: string[] = [];
  const poolOf = (model: string): number => {
    if (!models.includes(model)) models.push(model);
    return models.indexOf(model);
  };
  const nodes = rowsOf(file).map((row) => ({
    name: row['sn'] ?? '',
    pool: poolOf(row['model'] ?? ''),
    cpuMilli: whole(row, 'cpu_milli', file),
    memoryMiB: whole(row, 'memory_mib', file),
    gpus: whole(row, 'gpu', file),
  }));
  return { nodes: nodes.sort((a, b) => (a.name < b.name ? -1 : 1)), models };
}

export function readPods(file: string, models: readonly string[]): OpenbPods {
  return podsOf(
    rowsOf(file).map((row) => {
      const gpus = whole(row, 'num_gpu', file);
      const allowed = (row['gpu_spec'] ?? '').split('|').filter((model) => model !== '');
      return {
        cpuMilli: whole(row, 'cpu_milli', file),
        memoryMiB: whole(row, 'memory_mib', file),
        gpus,
        milli: gpus === 0 ? 0 : whole(row, 'gpu_milli', file),
        pools: allowed.length === 0 ? undefined : new Set(allowed.map((model) => models.indexOf(model))),
      };
    }),
  );
}

/** Pods that ask for the same become one class. */
export function podsOf(asks: readonly AskClass[]): OpenbPods {
  const classes = new Map<string, { readonly ask: AskClass; weight: number }>();
  const classOf = asks.map((ask) => {
    const key = [ask.cpuMilli, ask.memoryMiB, ask.gpus, ask.milli, ...(ask.pools ?? [])].join();
    const entry = classes.get(key) ?? { ask, weight: 0 };
    entry.weight += 1;
    classes.set(key, entry);
    return entry.ask;
  });
  const entries = [...classes.values()];
  return { classOf, demand: { classes: entries.map(({ ask }) => ask), weights: entries.map(({ weight }) => weight) } };
}

/** Lines of `seed,n,n,…`, by seed. */
export function readSequences(file: string): ReadonlyMap<number, readonly number[]> {
  return new Map(
    readFileSync(file, 'utf8')
      .trim()
      .split(/\r?\n/)
      .map((line) => {
        const [seed = Number.NaN, ...numbers] = line.split(',').map(Number);
        return [seed, numbers] as const;
      }),
  );
}
