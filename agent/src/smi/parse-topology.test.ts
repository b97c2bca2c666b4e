import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TopologyRow } from '#core/topology/nvlink-groups';
import { parseTopology } from './parse-topology.ts';
import { fixturePaths, sections } from './testing/fixtures.ts';
import { mutated, mutation } from './testing/mutation.ts';

const recordings = fixturePaths('captures').flatMap((path) =>
  sections(path)
    .filter(({ command }) => command === 'nvidia-smi topo -m')
    .map(({ text }) => [path.replace(/^.*__(.*)__(.*)\.txt$/, '$1, $2'), text] as const),
);

function rows(text: string): readonly TopologyRow[] {
  const answer = parseTopology(text);
  if (answer.kind === 'unreadable') throw new Error(`${answer.reason}: ${answer.line}`);
  return answer.value;
}

const legend = '\nLegend:\n\n  X    = Self\n  SYS  = Connection traversing PCIe as well as the SMP interconnect\n  NV#  = Bonded\n';

const escapeCharacter = String.fromCharCode(27);

function plain(text: string): string {
  return text.replaceAll(new RegExp(`${escapeCharacter}\\[[0-9;?]*[A-Za-z]`, 'g'), '');
}

/** A table as it is printed, of rows as text. */
function table(heading: string, ...lines: readonly string[]): string {
  return `\t\u001b[4m${heading}\u001b[0m\n${lines.join('\n')}\n${legend}`;
}

const affinities = 'CPU Affinity\tNUMA Affinity\tGPU NUMA ID';
const pair = table(`GPU0\tGPU1\t${affinities}`, 'GPU0\t X \tNV4\t0-23\t0\t\tN/A', 'GPU1\tNV4\t X \t24-47\t1\t\tN/A');

describe('topo -m', () => {
  it('was recorded of nine machines', () => {
    expect(recordings).toHaveLength(9);
  });

  it.each(recordings.filter(([, text]) => !text.startsWith('ERROR')))('reads %s', (what, text) => {
    expect(rows(text)).toEqual([{ index: 0, nvlinks: [], numaNode: what.includes('610.62') ? undefined : 0 }]);
  });

  it.each(recordings.filter(([, text]) => text.startsWith('ERROR')))('does not read the refusal of %s', (_what, text) => {
    expect(parseTopology(text)).toMatchObject({ kind: 'unreadable', reason: 'no heading with GPUs' });
  });

  it('reads a pair, however it got here', () => {
    const expected = [
      { index: 0, nvlinks: [1], numaNode: 0 },
      { index: 1, nvlinks: [0], numaNode: 1 },
    ];
    expect(rows(pair)).toEqual(expected);
    // Through a terminal, Windows, or a program that noted it down.
    expect(rows(pair.replaceAll('\t', '    '))).toEqual(expected);
    expect(rows(pair.replaceAll('\n', '\r\n'))).toEqual(expected);
    expect(rows(plain(pair))).toEqual(expected);
    expect(rows(`Warnung: persistenced l\u00e4uft nicht\n\n${pair}\nFertig.\n`)).toEqual(expected);
  });

  it.each([
    ['with network cards', 'GPU0\tGPU1\tNIC0\tmlx5_1', affinities, 'PXB\tSYS', '0-23,48-71\t3\t\tN/A', 3],
    ['of a Grace, whose GPUs have memory nodes of their own', 'GPU0\tGPU1', affinities, '', '0-71\t0\t\t1', 0],
    ['with CPUs one by one', 'GPU0\tGPU1', affinities, '', '6,14,22,30\t3\t\tN/A', 3],
    ['of a driver without GPU memory nodes', 'GPU0\tGPU1', 'CPU Affinity\tNUMA Affinity', '', '0-31\t\t1', 1],
    ['of such a driver that does not know', 'GPU0\tGPU1', 'CPU Affinity\tNUMA Affinity', '', '0-31\t\tN/A', undefined],
    ['of a driver that knows CPUs alone', 'GPU0\tGPU1', 'CPU Affinity', '', '0-23,48-71', undefined],
    ['of a virtual machine with more than one node', 'GPU0\tGPU1', affinities, '', '0-115\t0-3\t\tN/A', undefined],
    ['with several nodes listed', 'GPU0\tGPU1', affinities, '', '0-71\t0,2-17\t\tN/A', undefined],
    ['with cells that ran together', 'GPU0\tGPU1\tNIC0', affinities, 'PH0-115', '0-3\t\tN/A', undefined],
    ['with an empty cell', 'GPU0\tGPU1', affinities, '', '\t0\t\tN/A', undefined],
    ['with nothing in them', 'GPU0\tGPU1', affinities, '', '', undefined],
    ['with a node below zero', 'GPU0\tGPU1', affinities, '', '0-23\t-1\t\tN/A', undefined],
    ['without any', 'GPU0\tGPU1', '', '', '', undefined],
  ])('reads a table %s', (_what, devices, names, cards, near, numaNode) => {
    const cells = (own: string): string => [own, ...(cards === '' ? [] : [cards]), near].join('\t');
    const text = table(
      [devices, ...(names === '' ? [] : [names])].join('\t'),
      `GPU0\t${cells(' X \tNV12')}`,
      `GPU1\t${cells('NV12\t X ')}`,
      ...(cards === '' ? [] : ['NIC0\tPXB\tPXB\t X \tSYS\t\t\t\t', 'mlx5_1\tSYS\tSYS\tSYS\t X \t\t\t\t']),
    );
    expect(rows(text)).toEqual([
      { index: 0, nvlinks: [1], numaNode },
      { index: 1, nvlinks: [0], numaNode },
    ]);
  });

  it.each([
    ['a row is missing', pair.replace(/^GPU1.*\n/m, ''), 'a column without a row'],
    ['the heading is missing', pair.replace(/^.*CPU.*\n/m, ''), 'no heading with GPUs'],
    ['it ends in a row', pair.slice(0, pair.indexOf('NV4\t X')), 'not a row of the table'],
    ['a row is there twice', pair.replace(/^(GPU1.*\n)/m, '$1$1'), 'a row without a column of its own'],
    ['the diagonal is elsewhere', pair.replace(' X \tNV4', 'NV4\t X '), 'not a row of the table'],
    ['a link leads one way', pair.replace('NV4\t X ', 'PHB\t X '), 'has a link that does not lead back'],
    ['a cell is no word of a connection', pair.replace('NV4\t X ', '[4m\t X '), 'not a row of the table'],
    ['it is empty', '', 'no heading with GPUs'],
  ])('says that it cannot read a table where %s', (_what, text, reason) => {
    expect(parseTopology(text)).toMatchObject({ kind: 'unreadable', reason: expect.stringContaining(reason) });
  });
});

/** Machines of every kind, as they are printed. */
const machine = fc
  .record({
    indexes: fc.uniqueArray(fc.nat(31), { minLength: 1, maxLength: 8 }).map((all) => all.sort((a, b) => a - b)),
    cards: fc.nat(3),
    links: fc.array(fc.tuple(fc.nat(7), fc.nat(7))),
    nodes: fc.array(fc.option(fc.nat(9), { nil: undefined }), { minLength: 8, maxLength: 8 }),
    words: fc.constantFrom('SYS', 'NODE', 'PHB', 'PXB', 'PIX'),
  })
  .map(({ indexes, cards, links, nodes, words }) => {
    const areLinked = (one: number, other: number): boolean =>
      links.some(([a, b]) => a !== b && ((indexes[a] === one && indexes[b] === other) || (indexes[a] === other && indexes[b] === one)));
    const found = indexes.map(
      (index, at): TopologyRow => ({ index, nvlinks: indexes.filter((other) => areLinked(index, other)), numaNode: nodes[at] }),
    );
    const names = [...indexes.map((index) => `GPU${index}`), ...Array.from({ length: cards }, (_, at) => `NIC${at}`)];
    const lines = names.map((name, at) => {
      const own = found[at];
      const cells = names.map((_, to) => (to === at ? ' X ' : own?.nvlinks.includes(indexes[to] ?? -1) === true ? `NV${to + 1}` : words));
      return [name, ...cells, own === undefined ? '\t\t\t' : `0-23\t${own.numaNode ?? 'N/A'}\t\tN/A`].join('\t');
    });
    return { found, text: table([...names, affinities].join('\t'), ...lines) };
  });

describe('any machine', () => {
  it('is read as it was printed', () => {
    fc.assert(
      fc.property(machine, ({ found, text }) => {
        expect(rows(text)).toEqual(found);
      }),
    );
  });

  it('is never given a link or a node that its damaged table does not show', () => {
    fc.assert(
      fc.property(machine, machine, fc.array(mutation, { minLength: 1, maxLength: 4 }), ({ text }, other, how) => {
        const damaged = how.reduce((before, own) => mutated(before, own, other.text), text);
        const answer = parseTopology(damaged);
        if (answer.kind === 'unreadable') return;
        const lines = plain(damaged)
          .split('\n')
          .map((line) => line.trim().split(/\s+/));
        for (const { index, nvlinks, numaNode } of answer.value) {
          const shows = lines.some(
            ([name, ...cells]) =>
              name?.replace(/^GPU0*(?=\d)/, '') === `${index}` &&
              cells.includes('X') &&
              cells.filter((cell) => /^NV\d+$/.test(cell)).length >= nvlinks.length &&
              (numaNode === undefined || cells.map(Number).includes(numaNode)),
          );
          expect(shows).toBe(true);
          expect(nvlinks).not.toContain(index);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
