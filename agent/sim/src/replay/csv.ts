import type { Bundle, Recorded } from './bundle.ts';

export type CsvKind = 'query-gpu' | 'query-compute-apps';

/** `--query-gpu=a,b --format=csv,noheader`, taken apart. */
export interface CsvQuestion {
  readonly kind: CsvKind;
  readonly fields: readonly string[];
  readonly header: boolean;
  readonly units: boolean;
}

/** A recorded table; units are known only where its header was recorded. */
interface CsvTable {
  readonly columns: readonly { readonly name: string; readonly unit: string | undefined }[];
  readonly withHeader: boolean;
  readonly withUnits: boolean;
  readonly rows: readonly (readonly string[])[];
  /** Lines that are no row, such as the one about a lost GPU. */
  readonly remarks: readonly string[];
  readonly recorded: Recorded;
}

export function csvQuestion(args: readonly string[]): CsvQuestion | undefined {
  if (args.length !== 2) return undefined;
  const query = args.map((arg) => /^--(query-gpu|query-compute-apps)=(.+)$/.exec(arg)).find((match) => match !== null);
  const format = args.map((arg) => /^--format=(.+)$/.exec(arg)?.[1]).find((words) => words !== undefined);
  const words = format?.split(',').map((word) => word.trim());
  if (!query || !words?.includes('csv')) return undefined;
  const fields = (query[2] ?? '').split(',').map((name) => name.trim());
  return { kind: query[1] as CsvKind, fields, header: !words.includes('noheader'), units: !words.includes('nounits') };
}

/** Text made of recorded columns; `keep` tells which rows are asked for. */
export function answerFromTables(
  bundle: Bundle,
  asked: CsvQuestion,
  keep: ((value: (column: string) => string | undefined) => boolean | undefined) | undefined,
): Recorded | 'unknown' | { readonly unknownField: string } {
  const tables = bundle.commands
    .filter((command) => csvQuestion(command.args)?.kind === asked.kind)
    .map((command) => tableOf(bundle.load(command)))
    .filter((table) => table !== undefined);
  const known = new Set(tables.flatMap((table) => table.columns.map((column) => column.name)));
  const unknownField = asked.fields.find((name) => !known.has(name));
  if (unknownField !== undefined) return tables.length === 0 ? 'unknown' : { unknownField };
  for (const table of tables) {
    const text = pick(table, asked, keep);
    if (text !== undefined) return { ...table.recorded, stdout: text };
  }
  return 'unknown';
}

function tableOf(recorded: Recorded): CsvTable | undefined {
  const asked = csvQuestion(recorded.args);
  if (!asked) return undefined;
  const lines = recorded.stdout.split('\n').filter((line) => line !== '');
  const cells = lines.map((line) => line.split(', '));
  const head = asked.header ? cells[0] : undefined;
  if (asked.header && head?.length !== asked.fields.length) return undefined;
  const columns = asked.fields.map((name, n) => ({ name, unit: / \[(\S+)\]$/.exec(head?.[n] ?? '')?.[1] }));
  const body = cells.slice(asked.header ? 1 : 0);
  const isRow = (row: readonly string[]): boolean => row.length === columns.length && !/^Unable to /.test(row[0] ?? '');
  return {
    columns,
    withHeader: asked.header,
    withUnits: asked.units,
    rows: body.filter(isRow),
    remarks: body.filter((row) => !isRow(row)).map((row) => row.join(', ')),
    recorded,
  };
}

/** Undefined where this table cannot say it: a header or a unit that was not recorded, or rows that nobody can tell apart. */
function pick(table: CsvTable, asked: CsvQuestion, keep: Parameters<typeof answerFromTables>[2]): string | undefined {
  if ((asked.header || asked.units !== table.withUnits) && !table.withHeader) return undefined;
  const places = asked.fields.map((name) => table.columns.findIndex((column) => column.name === name));
  if (places.includes(-1)) return undefined;
  const rows = keep ? table.rows.map((row) => ({ row, kept: keep(cellOf(table, row)) })) : table.rows.map((row) => ({ row, kept: true }));
  if (rows.some(({ kept }) => kept === undefined)) return undefined;
  const head = places.map((n) => titled(table.columns[n]));
  const body = rows.filter(({ kept }) => kept).map(({ row }) => places.map((n) => valued(table, n, row[n] ?? '', asked.units)).join(', '));
  const lines = [...(asked.header ? [head.join(', ')] : []), ...body, ...(keep ? [] : table.remarks)];
  return lines.map((line) => `${line}\n`).join('');
}

function cellOf(table: CsvTable, row: readonly string[]): (column: string) => string | undefined {
  return (name) => row[table.columns.findIndex((column) => column.name === name)];
}

function titled(column: CsvTable['columns'][number] | undefined): string {
  return column?.unit === undefined ? (column?.name ?? '') : `${column.name} [${column.unit}]`;
}

function valued(table: CsvTable, n: number, value: string, units: boolean): string {
  const unit = table.columns[n]?.unit;
  if (unit === undefined || units === table.withUnits) return value;
  if (!units) return value.endsWith(` ${unit}`) ? value.slice(0, -unit.length - 1) : value;
  return /^-?\d+(\.\d+)?$/.test(value) ? `${value} ${unit}` : value;
}
