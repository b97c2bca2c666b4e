// `nvidia-smi --query-gpu=... --format=csv,noheader`
import { linesOf, type Parsed, parsed, unreadable } from './parsed.ts';

/** The cells of one GPU by field name, as printed. */
export type QueryRow<Field extends string> = Readonly<Record<Field, string>>;

/** The one field that may hold commas of its own. */
const free: ReadonlySet<string> = new Set(['name', 'gpu_name', 'process_name']);
const message = /^(?:Unable to |Failed to |No devices were found|GPU is lost|Warning: )/i;

/**
 * One record per line, in the order of `fields`. Cells are not quoted by nvidia-smi, so with a comma in the name
 * a line has more cells than fields: the fields before and after the name are counted from their own ends.
 * A line that is a message about a lost GPU stands for a GPU that is not listed. No line at all says nothing of any
 * GPU: a driver without one says so in words.
 */
export function parseQueryRows<Field extends string>(text: string, fields: readonly Field[]): Parsed<readonly QueryRow<Field>[]> {
  const rows: QueryRow<Field>[] = [];
  if (text.trim() === '') return unreadable('no output', '');
  const freeAt = fields.findIndex((field) => free.has(field));
  for (const line of linesOf(text)) {
    if (line.trim() === '' || message.test(line.trim())) continue;
    const cells = line.split(',');
    const surplus = cells.length - fields.length;
    if (surplus < 0) return unreadable(`fewer than ${fields.length} cells`, line);
    if (surplus > 0) {
      if (freeAt === -1) return unreadable(`more than ${fields.length} cells`, line);
      cells.splice(freeAt, surplus + 1, cells.slice(freeAt, freeAt + surplus + 1).join(','));
    }
    // The cells were counted, so every field has one.
    rows.push(Object.fromEntries(fields.map((field, at) => [field, (cells[at] ?? '').trim()])) as QueryRow<Field>);
  }
  return parsed(rows);
}
