import { linesOf, type Parsed, parsed, unreadable } from './parsed.ts';

const border = /^\+-+\+$/;
const headerEnd = /^\|=+\|$/;
const row = /^\|(.*)\|$/;

/**
 * The cells of a box table as nvidia-smi draws it: per entry, between two borders, its lines without the frame.
 *
 * Widths differ by driver, so nothing is read by column. An entry without the border below it means that the
 * text was cut short, and a listing that is not whole is no listing: what it lacks might be taken for absent.
 */
export function parseBoxTable(text: string, title: string): Parsed<readonly (readonly string[])[]> {
  const lines = linesOf(text)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !/^Warning: /i.test(line));
  const headerEndsAt = lines.findIndex((line) => headerEnd.test(line));
  const header = lines.slice(0, Math.max(headerEndsAt, 0));
  if (!border.test(header[0] ?? '') || !header.some((line) => line.includes(title))) {
    return unreadable(`no table of ${title}`, lines[0]);
  }
  const entries: (readonly string[])[] = [];
  let open: string[] = [];
  for (const line of lines.slice(headerEndsAt + 1)) {
    const inner = row.exec(line)?.[1];
    if (inner !== undefined) {
      open.push(inner.trim());
    } else if (border.test(line) && open.length > 0) {
      entries.push(open);
      open = [];
    } else {
      return unreadable('neither an entry nor its border', line);
    }
  }
  if (open.length > 0 || entries.length === 0) return unreadable('the table ends without its border', lines.at(-1));
  return parsed(entries);
}
