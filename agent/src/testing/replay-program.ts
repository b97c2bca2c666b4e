// An nvidia-smi that knows only what was recorded: `replay-program.ts DIRECTORY ARGS...`, with the manifest of a support bundle
// in the directory. A query is answered from any recorded query that holds its fields; everything else must match word for word.
import { readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

interface Recorded {
  readonly args: readonly string[];
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

const [directory = '', ...given] = process.argv.slice(2);
const { commands } = JSON.parse(readFileSync(join(directory, 'manifest.json'), 'utf8')) as { readonly commands: readonly Recorded[] };

function answer(stdout: string, stderr: string, exitCode: number): never {
  writeSync(1, stdout);
  writeSync(2, stderr);
  process.exit(exitCode);
}

function replay(recorded: Recorded): never {
  answer(readFileSync(join(directory, recorded.stdout), 'utf8'), readFileSync(join(directory, recorded.stderr), 'utf8'), recorded.exitCode);
}

const fieldsOf = (args: readonly string[]): readonly string[] | undefined =>
  args
    .find((word) => word.startsWith('--query-gpu='))
    ?.slice('--query-gpu='.length)
    .split(',');

function query(fields: readonly string[], only: string | undefined, format: readonly string[]): void {
  const source = commands.find((own) => own.exitCode === 0 && fieldsOf(own.args) !== undefined);
  const known = source === undefined ? undefined : fieldsOf(source.args);
  if (source === undefined || known === undefined) return;
  const unknown = fields.find((field) => !known.includes(field));
  if (unknown !== undefined) answer(`Field "${unknown}" is not a valid field to query.\n`, '', 2);
  const recordedFormat = source.args.find((word) => word.startsWith('--format='))?.split(/[=,]/) ?? [];
  const lines = readFileSync(join(directory, source.stdout), 'utf8')
    .split('\n')
    .filter((line) => line !== '');
  const cells = (line: string): readonly string[] => line.split(', ');
  const [head, ...rows] = recordedFormat.includes('noheader') ? [known.join(', '), ...lines] : lines;
  const project = (row: readonly string[]): readonly string[] => fields.map((field) => row[known.indexOf(field)] ?? '');
  const bare = (cell: string): string => (format.includes('nounits') ? cell.replace(/^(-?[\d.]+) (?:%|MiB|W|MHz|us)$/, '$1') : cell);
  const kept = rows.map(cells).filter((row) => only === undefined || row.includes(only));
  const printed = [...(format.includes('noheader') ? [] : [project(cells(head ?? ''))]), ...kept.map((row) => project(row).map(bare))];
  answer(printed.map((row) => `${row.join(', ')}\n`).join(''), '', 0);
}

const exact = commands.find((own) => own.args.join('\0') === given.join('\0'));
if (exact !== undefined) replay(exact);
// Recordings are of all GPUs; those of one GPU answer for it by whatever name.
const at = given.indexOf('-i');
const rest = at === -1 ? given : given.filter((_word, index) => index !== at && index !== at + 1);
const fields = fieldsOf(rest);
const format = rest.find((word) => word.startsWith('--format='))?.split(/[=,]/) ?? [];
if (fields !== undefined) query(fields, at === -1 ? undefined : given[at + 1], format);
const whole = commands.find((own) => own.args.join('\0') === rest.join('\0'));
if (whole !== undefined) replay(whole);
answer(`ERROR: Option ${given[0] ?? ''} is not recognized. Please run 'nvidia-smi -h' for help.\n`, '', 2);
