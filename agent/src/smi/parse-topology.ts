// `nvidia-smi topo -m`: a table of GPUs and network cards by each other, then what CPUs and NUMA nodes each GPU is near to.
import type { TopologyRow } from '#core/topology/nvlink-groups';
import { linesOf, type Parsed, parsed, unreadable } from './parsed.ts';

/** The heading is underlined, also where the output is no terminal. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is what is looked for
const escapes = /\u001b\[[0-9;?]*[A-Za-z]/g;
const device = /^GPU(\d{1,4})$/;
/** The three that no device is called. */
const affinities = /CPU Affinity|NUMA Affinity|GPU NUMA ID/g;
/** `NV4` for four links in parallel; later drivers may know further words. */
const connection = /^[A-Z][A-Z0-9+#/-]{0,11}$/;
const nvlink = /^NV\d{1,3}$/;
const self = 'X';
/** One node. A range, or `N/A`, says of no node that it is the one. */
const node = /^\d{1,4}$/;

interface Heading {
  /** Names of the devices, in the order of their columns. */
  readonly devices: readonly string[];
  readonly affinities: readonly string[];
}

/**
 * By index. Cells are told apart by blanks of any kind: tabs are printed one or two to fit the heading, and people and
 * programs that pass a table on make blanks of them. Where a row has fewer cells than the heading, which node is meant
 * cannot be told, and it is absent. A table that contradicts itself, or lacks a row, is unreadable as a whole.
 */
export function parseTopology(text: string): Parsed<readonly TopologyRow[]> {
  const lines = linesOf(text.replace(escapes, ''));
  const start = lines.findIndex(isHeading);
  const heading = start < 0 ? undefined : headingOf(lines[start] ?? '');
  if (heading === undefined) return unreadable('no heading with GPUs', lines.find((line) => line.trim() !== '') ?? '');
  const indexes = heading.devices.flatMap((name) => indexOf(name) ?? []);
  if (new Set(indexes).size !== indexes.length) return unreadable('a GPU has two columns', lines[start]);
  const rows = new Map<number, TopologyRow>();
  for (const line of lines.slice(start + 1)) {
    const index = indexOf(wordsOf(line)[0] ?? '');
    if (index === undefined) continue;
    if (rows.has(index) || !indexes.includes(index)) return unreadable('a row without a column of its own', line);
    const row = rowOf(index, wordsOf(line).slice(1), heading);
    if (row === undefined) return unreadable('not a row of the table', line);
    rows.set(index, row);
  }
  const found = indexes.flatMap((index) => rows.get(index) ?? []);
  if (found.length !== indexes.length) return unreadable('a column without a row');
  const isOneSided = (row: TopologyRow): boolean => row.nvlinks.some((other) => rows.get(other)?.nvlinks.includes(row.index) !== true);
  const odd = found.find(isOneSided);
  if (odd !== undefined) return unreadable(`GPU${odd.index} has a link that does not lead back`);
  return parsed(found.sort((a, b) => a.index - b.index));
}

/** Begins with a device like every row, and has no diagonal. */
function isHeading(line: string): boolean {
  const words = wordsOf(line);
  return indexOf(words[0] ?? '') !== undefined && !words.includes(self);
}

function headingOf(line: string): Heading {
  const names = [...line.matchAll(affinities)];
  const devices = wordsOf(line.slice(0, names[0]?.index ?? line.length));
  return { devices, affinities: names.map(([name]) => name) };
}

function rowOf(index: number, cells: readonly string[], heading: Heading): TopologyRow | undefined {
  const nvlinks: number[] = [];
  for (const [at, name] of heading.devices.entries()) {
    const other = indexOf(name);
    if (other === undefined) continue;
    const cell = cells[at] ?? '';
    if (other === index ? cell !== self : cell === self || !connection.test(cell)) return undefined;
    if (nvlink.test(cell)) nvlinks.push(other);
  }
  const near = cells.slice(heading.devices.length);
  const numa = near.length === heading.affinities.length ? near[heading.affinities.indexOf('NUMA Affinity')] : undefined;
  return { index, nvlinks, numaNode: numa !== undefined && node.test(numa) ? Number(numa) : undefined };
}

function indexOf(name: string): number | undefined {
  const digits = device.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

function wordsOf(line: string): readonly string[] {
  return line.trim().split(/\s+/);
}
