// Rows of `--query-gpu=... --format=csv` as samples. The header is believed where there is one, so that neither the order of
// columns nor a renamed field matters; without it the columns are those that were asked for.
import { type GpuUuid, parseGpuUuid } from '@astrago/shared/domain/ids';
import type { GpuMeasure, GpuSample, GpuWords } from '#core/telemetry/sample';
import { printedDriverVersion, printedId } from '../printed-value.ts';
import { queryFields, queryKeys, queryMeasures, queryWords } from './query-catalogue.ts';
import { combine, type Recipe, readGpuValue } from './recipe.ts';
import { readWords } from './words.ts';

export interface SampleRow {
  readonly kind: 'row';
  readonly index: number | undefined;
  readonly gpuUuid: GpuUuid;
  readonly driverVersion: string | undefined;
  readonly values: GpuSample['values'];
  readonly words: GpuWords;
}

/** `noise` is a message, or a line that was damaged. */
export type SampleLine = SampleRow | { readonly kind: 'header' } | { readonly kind: 'noise'; readonly text: string };

interface Plan {
  readonly width: number;
  readonly index: number;
  readonly uuid: number;
  readonly driverVersion: number;
  readonly measures: readonly { readonly measure: GpuMeasure; readonly how: Recipe['how']; readonly at: readonly number[] }[];
  readonly words: Readonly<Record<keyof GpuWords, number>>;
  /** The column that may hold commas of its own; the last one it is asked for in. */
  readonly free: number;
}

const noiseMax = 200;
const aliases: ReadonlyMap<string, readonly string[]> = new Map(
  queryFields.flatMap((names) => names.map((name) => [name, names] as const)),
);

/** Reads one line after another; remembers the header. */
export function sampleLineReader(columns: readonly string[]): (line: string) => SampleLine {
  let plan = planOf(columns);
  const asked = new Set(columns.flatMap((name) => aliases.get(name) ?? [name]));
  return (line) => {
    const cells = line.split(',');
    const named = cells.map(fieldName);
    if (named.length > 1 && named.filter((name) => asked.has(name)).length * 2 > named.length) {
      plan = planOf(named);
      return { kind: 'header' };
    }
    const row = readRow(plan, cells);
    return row ?? { kind: 'noise', text: line.trim().slice(0, noiseMax) };
  };
}

/** `memory.used [MiB]` is the field `memory.used`. */
function fieldName(cell: string): string {
  const bracket = cell.indexOf('[');
  return (bracket > 0 ? cell.slice(0, bracket) : cell).trim();
}

function planOf(columns: readonly string[]): Plan {
  const at = new Map<string, number>();
  for (const [column, name] of columns.entries())
    for (const alias of aliases.get(name) ?? [name]) if (!at.has(alias)) at.set(alias, column);
  const place = (names: readonly string[]): number => at.get(names[0] ?? '') ?? -1;
  const measures = (Object.entries(queryMeasures) as [GpuMeasure, Recipe][]).flatMap(([measure, recipe]) => {
    const places = recipe.of.map(place).filter((column) => column >= 0);
    return places.length === 0 ? [] : [{ measure, how: recipe.how, at: places }];
  });
  const words = Object.fromEntries(Object.entries(queryWords).map(([word, names]) => [word, place(names)])) as Plan['words'];
  return {
    width: columns.length,
    index: place(queryKeys.index),
    uuid: place(queryKeys.uuid),
    driverVersion: place(queryKeys.driverVersion),
    measures,
    words,
    free: columns.findIndex((name) => name === 'name' || name === 'gpu_name' || name === 'fabric.status'),
  };
}

function readRow(plan: Plan, cells: readonly string[]): SampleRow | undefined {
  const surplus = cells.length - plan.width;
  // A cell more than was asked for: only free text can have been cut, and everything behind it is shifted.
  if (surplus < 0 || (surplus > 0 && plan.free < 0)) return undefined;
  const cell = (column: number): string => {
    if (column < 0) return '';
    if (surplus === 0 || column < plan.free) return (cells[column] ?? '').trim();
    if (column > plan.free) return (cells[column + surplus] ?? '').trim();
    return cells
      .slice(column, column + surplus + 1)
      .join(',')
      .trim();
  };
  const gpuUuid = parseGpuUuid(cell(plan.uuid));
  if (gpuUuid === undefined) return undefined;
  const values: Partial<Record<GpuMeasure, number>> = {};
  for (const { measure, how, at } of plan.measures) {
    const [only] = at;
    const value =
      at.length === 1 && only !== undefined
        ? readGpuValue(measure, cell(only))
        : combine(
            how,
            at.flatMap((column) => readGpuValue(measure, cell(column)) ?? []),
          );
    if (value !== undefined) values[measure] = value;
  }
  return {
    kind: 'row',
    index: printedId(cell(plan.index)),
    gpuUuid,
    driverVersion: printedDriverVersion(cell(plan.driverVersion)),
    values,
    words: readWords((word) => cell(plan.words[word])),
  };
}
