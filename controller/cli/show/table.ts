// Plain columns: no rules, no colour of its own, nothing after the last character of a line.
import Table from 'cli-table3';

const noLines = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};

/** What was not measured is `--`; an empty cell would read as nothing there. */
export const unknown = '--';

export function table(head: readonly string[], rows: readonly (readonly (string | number | undefined)[])[]): string {
  const drawn = new Table({
    head: [...head],
    chars: noLines,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0, compact: true },
  });
  for (const row of rows) drawn.push(row.map((cell) => (cell === undefined || cell === '' ? unknown : String(cell))));
  return drawn
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

/** The same without the columns named in `optional` of which no row knows anything. */
export function tableOfKnown(
  head: readonly string[],
  rows: readonly (readonly (string | number | undefined)[])[],
  optional: readonly string[],
): string {
  const shown = head.map((name, index) => !optional.includes(name) || rows.some((row) => row[index] !== undefined && row[index] !== ''));
  const kept = <T>(cells: readonly T[]): readonly T[] => cells.filter((_, index) => shown[index]);
  return table(kept(head), rows.map(kept));
}

/** One `label  value` a line; lines without a value are left out. */
export function facts(pairs: readonly (readonly [string, string | number | undefined])[]): string {
  const known = pairs.filter((pair) => pair[1] !== undefined && pair[1] !== '');
  const width = Math.max(0, ...known.map(([label]) => label.length));
  return known.map(([label, value]) => `${label.padEnd(width)}  ${value}`).join('\n');
}
