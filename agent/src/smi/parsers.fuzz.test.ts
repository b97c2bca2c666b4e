// Whatever nvidia-smi prints, or half prints, a parser answers with data or says that it cannot.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { factFields, parseGpuFacts } from './gpu-facts.ts';
import { parseComputeInstances } from './parse-compute-instances.ts';
import { parseDeviceLog } from './parse-device-log.ts';
import { parseGpuInstanceProfiles } from './parse-gpu-instance-profiles.ts';
import { parseGpuInstances } from './parse-gpu-instances.ts';
import { parseGpuList } from './parse-gpu-list.ts';
import { parsePossiblePlacements } from './parse-possible-placements.ts';
import { parseQueryFields } from './parse-query-fields.ts';
import { parseQueryRows } from './parse-query-rows.ts';
import type { Parsed } from './parsed.ts';
import { printedAmount, printedId, printedMode, printedNumber, printedWord } from './printed-value.ts';
import { parseReadings, readingFields } from './readings.ts';
import { captured, fixture, fixturePaths, transcript } from './testing/fixtures.ts';

const parsers: Readonly<Record<string, (text: string) => Parsed<unknown>>> = {
  '-L': parseGpuList,
  '-lgip': parseGpuInstanceProfiles,
  '-lgipp': parsePossiblePlacements,
  '-lgi': parseGpuInstances,
  '-lci': parseComputeInstances,
  help: parseQueryFields,
  facts: (text) => parseGpuFacts(text, factFields),
  readings: (text) => parseReadings(text, readingFields),
  rows: (text) => parseQueryRows(text, ['index', 'name', 'mig.mode.current']),
  xml: parseDeviceLog,
};

const line = '0, GPU-0d0831da-0c98-2717-6446-8acd91d39b65, NVIDIA H100 80GB HBM3, 00000000:01:00.0, 81559, Enabled, Enabled, 580.173.02\n';
const tables = ['gpus', 'mig-gi', 'mig-ci', 'mig-profiles'].map((file) => fixture(`prickle/h100-mig-mixed-20260729/${file}.txt`));
const small: readonly string[] = [
  ...tables,
  ...fixturePaths('transcripts').flatMap((path) => transcript(path).map((own) => own.text)),
  ...fixturePaths('prickle').map(fixture),
  captured('captures/linux-x86_64__nvidia-l40s__595.80.txt', /--help-query-gpu$/).slice(0, 3_000),
  line,
  line.repeat(8),
  'GPU-0d0831da-0c98-2717-6446-8acd91d39b65, [N/A], 4225, 58, 171.29\n',
];
const logs = [...fixturePaths('xml'), ...fixturePaths('xml-mock')].map(fixture).filter((text) => text.length < 25_000);

type Mutation = {
  readonly what: 'cut' | 'drop' | 'double' | 'flip' | 'insert' | 'drop-line' | 'double-line' | 'swap-lines';
  readonly at: number;
  readonly length: number;
  readonly with: string;
};

const mutation: fc.Arbitrary<Mutation> = fc.record({
  what: fc.constantFrom('cut', 'drop', 'double', 'flip', 'insert', 'drop-line', 'double-line', 'swap-lines'),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  length: fc.integer({ min: 1, max: 12 }),
  with: fc.oneof(
    fc.string({ maxLength: 6 }),
    fc.constantFrom('\0', '\r\n', '[N/A]', '|', '+-+', '{', ',', '9'.repeat(400), '-', '<', '&', '\u2028'),
  ),
});

function mutated(text: string, how: Mutation): string {
  const at = Math.floor(how.at * text.length);
  const lines = text.split('\n');
  const row = Math.floor(how.at * lines.length);
  switch (how.what) {
    case 'cut':
      return text.slice(0, at);
    case 'drop':
      return text.slice(0, at) + text.slice(at + how.length);
    case 'double':
      return text.slice(0, at + how.length) + text.slice(at);
    case 'flip':
      return text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ (1 << (how.length % 8))) + text.slice(at + 1);
    case 'insert':
      return text.slice(0, at) + how.with + text.slice(at);
    case 'drop-line':
      return lines.toSpliced(row, (how.length % 3) + 1).join('\n');
    case 'double-line':
      return lines.toSpliced(row, 0, lines[row] ?? '').join('\n');
    case 'swap-lines':
      return lines
        .with(Math.min(row, lines.length - 1), lines[0] ?? '')
        .with(0, lines[Math.min(row, lines.length - 1)] ?? '')
        .join('\n');
    default:
      return how.what satisfies never;
  }
}

/** Any number in an answer is one that could have been printed. */
function expectSoundNumbers(value: unknown, parser: string): void {
  if (typeof value === 'number' && !Number.isFinite(value)) throw new Error(`${parser} made ${value}`);
  if (value instanceof Set) return;
  if (typeof value === 'object' && value !== null) for (const inner of Object.values(value)) expectSoundNumbers(inner, parser);
}

function readWithAll(text: string): void {
  for (const [name, parse] of Object.entries(parsers)) expectSoundNumbers(parse(text), name);
}

describe('parsers', () => {
  it('read every recorded file or say that they cannot', () => {
    for (const directory of ['prickle', 'transcripts', 'captures', 'xml', 'xml-mock', 'derived'])
      for (const path of fixturePaths(directory)) readWithAll(fixture(path));
  });

  it('survive damaged listings', () => {
    fc.assert(
      fc.property(fc.constantFrom(...small), fc.array(mutation, { minLength: 1, maxLength: 4 }), (text, how) => {
        readWithAll(how.reduce(mutated, text));
      }),
      { numRuns: 3_000 },
    );
  });

  it('survive damaged logs', () => {
    fc.assert(
      fc.property(fc.constantFrom(...logs), fc.array(mutation, { minLength: 1, maxLength: 3 }), (text, how) => {
        expectSoundNumbers(parseDeviceLog(how.reduce(mutated, text)), 'xml');
      }),
      { numRuns: 400 },
    );
  });

  it('survive anything', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), readWithAll), { numRuns: 1_000 });
  });

  it('never take the beginning of a table for a table, unless it ends with a border', () => {
    const [, ...boxes] = tables;
    fc.assert(
      fc.property(fc.constantFrom(...boxes), fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), (text, at) => {
        const border = text.split('\n')[0] ?? '';
        const cut = text.slice(0, Math.floor(at * text.trimEnd().length));
        const read = [parseGpuInstances(cut), parseComputeInstances(cut), parseGpuInstanceProfiles(cut)].some(
          (answer) => answer.kind === 'parsed',
        );
        expect(read && !cut.trimEnd().endsWith(`\n${border}`) && !cut.trimEnd().endsWith('-+')).toBe(false);
      }),
      { numRuns: 1_000 },
    );
  });

  it('never lose one line of a table without noticing', () => {
    const [, ...boxes] = tables;
    for (const text of boxes) {
      const lines = text.trimEnd().split('\n');
      for (const at of lines.keys()) {
        const without = lines.toSpliced(at, 1).join('\n');
        const header = at < lines.findIndex((own) => own.startsWith('|==='));
        const read = [parseGpuInstances(without), parseComputeInstances(without), parseGpuInstanceProfiles(without)].some(
          (answer) => answer.kind === 'parsed',
        );
        if (!header) expect(read, `without line ${at}`).toBe(false);
      }
    }
  });
});

describe('single values', () => {
  it('are the printed number or absent', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ maxLength: 12 }), fc.constantFrom('[N/A]', 'N/A', '', ' ', '-', '+', '[Not Supported]', '0x10', '.5', '١')),
        (text) => {
          for (const value of [printedNumber(text), printedAmount(text), printedId(text)]) {
            if (value !== undefined) expect(text).toContain(String(Math.trunc(Math.abs(value))));
            if (value === 0) expect(text).toMatch(/^\s*-?0/);
          }
          printedMode(text);
          printedWord(text);
        },
      ),
      { numRuns: 3_000 },
    );
  });

  it('round-trip', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1_000_000 }), fc.constantFrom('', ' MiB', ' W', ' %'), (value, unit) => {
        expect(printedNumber(`${value}${unit}`)).toBe(value);
      }),
    );
  });
});
