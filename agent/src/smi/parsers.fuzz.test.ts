// Whatever nvidia-smi prints, or half prints, a reader answers with data or says that it cannot. ASTRAGO_FUZZ_RUNS is how
// many inputs are tried, a million on demand; the share of each property is its own.
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import type { SampleRow } from './fields/sample-rows.ts';
import { Documents } from './loop/documents.ts';
import { RowRounds } from './loop/row-rounds.ts';
import { parseComputeInstances } from './parse-compute-instances.ts';
import { parseDeviceLog } from './parse-device-log.ts';
import { parseGpuInstanceProfiles } from './parse-gpu-instance-profiles.ts';
import { parseGpuInstances } from './parse-gpu-instances.ts';
import { printedAmount, printedId, printedMode, printedNumber, printedWord } from './printed-value.ts';
import { captured, fixture, fixturePaths, sections, transcript } from './testing/fixtures.ts';
import { mutated, mutation, tokens } from './testing/mutation.ts';
import { expectSound, framed, framers, parsers, readLine, sampleColumns } from './testing/readers.ts';

const inputs = Math.max(1_000, Number(process.env['ASTRAGO_FUZZ_RUNS']) || 6_000);
const share = (part: number): { readonly numRuns: number } => ({ numRuns: Math.ceil(inputs * part) });
vi.setConfig({ testTimeout: Math.max(120_000, inputs * 3) });

const gpu = 'GPU-0d0831da-0c98-2717-6446-8acd91d39b65';
const factLine = `0, ${gpu}, NVIDIA H100 80GB HBM3, 00000000:01:00.0, 81559, Enabled, Enabled, 580.173.02\n`;
const sampleLine = (index: number): string =>
  `${index}, ${gpu.slice(0, -1)}${index % 10}, 580.173.02, 12 %, 4225 MiB, 58, 171.29 W, Success\n`;
const header = 'index, uuid, driver_version, utilization.gpu [%], memory.used [MiB], temperature.gpu, power.draw [W], fabric.status\n';
const round = (count: number): string => Array.from({ length: count }, (_, index) => sampleLine(index)).join('');
const tables = ['gpus', 'mig-gi', 'mig-ci', 'mig-profiles'].map((file) => fixture(`prickle/h100-mig-mixed-20260729/${file}.txt`));
const small: readonly string[] = [
  ...tables,
  ...fixturePaths('transcripts').flatMap((path) => transcript(path).map((own) => own.text)),
  ...fixturePaths('prickle').map(fixture),
  ...fixturePaths('captures').flatMap((path) =>
    sections(path)
      .filter((own) => /-L$|topo -m$|compute-apps=|--version|nvidia-smi $/.test(own.command))
      .map((own) => own.text),
  ),
  captured('captures/linux-x86_64__nvidia-l40s__595.80.txt', /--help-query-gpu$/).slice(0, 3_000),
  factLine.repeat(8),
  header + round(8),
  round(16) + round(16),
  `${gpu}, [N/A], 4225, 58, 171.29\n`,
  `${gpu}, 21180, 2296 MiB, /opt/tools/memhog\n`,
].filter((text) => text.length < 6_000);
/** One GPU each, without the clocks that a GPU supports, which are most of a log. */
const logs = [...fixturePaths('xml'), ...fixturePaths('xml-mock')]
  .map((path) => fixture(path).replace(/<supported_clocks>[\s\S]*?<\/supported_clocks>/g, ''))
  .filter((text) => text.length < 25_000);
const deviceTexts = fixturePaths('captures').flatMap((path) =>
  sections(path)
    .filter((own) => /nvidia-smi -q$/.test(own.command))
    .map((own) => own.text),
);

function readWithAll(text: string): void {
  for (const [name, parse] of Object.entries(parsers)) expectSound(parse(text), name);
  readLine(text);
}

/** Cut at these shares of its length. */
function chunksOf(text: string, cuts: readonly number[]): readonly string[] {
  const at = [0, ...cuts.map((cut) => Math.floor(cut * text.length)).sort((a, b) => a - b), text.length];
  return at.slice(1).map((end, index) => text.slice(at[index], end));
}

const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 });
const damage = fc.array(mutation, { minLength: 1, maxLength: 4 });

describe('readers', () => {
  it('read every recorded file or say that they cannot', () => {
    for (const directory of ['prickle', 'transcripts', 'captures', 'xml', 'xml-mock', 'derived'])
      for (const path of fixturePaths(directory)) readWithAll(fixture(path));
  });

  it('survive damaged listings', () => {
    fc.assert(
      fc.property(fc.constantFrom(...small), fc.constantFrom(...small), damage, (text, other, how) => {
        readWithAll(how.reduce((damaged, own) => mutated(damaged, own, other), text));
      }),
      share(0.44),
    );
  });

  it('survive damaged logs', () => {
    fc.assert(
      fc.property(fc.constantFrom(...logs), fc.constantFrom(...logs), damage, (text, other, how) => {
        expectSound(parseDeviceLog(how.reduce((damaged, own) => mutated(damaged, own, other), text)), 'xml');
      }),
      share(0.04),
    );
  });

  it('survive damaged texts', () => {
    fc.assert(
      fc.property(fc.constantFrom(...deviceTexts), fc.constantFrom(...deviceTexts), damage, (text, other, how) => {
        expectSound(parsers['text']?.(how.reduce((damaged, own) => mutated(damaged, own, other), text)), 'text');
      }),
      share(0.06),
    );
  });

  it('survive damaged streams in any chunks', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.keys(framers)),
        fc.constantFrom(...small),
        damage,
        cuts,
        fc.nat(6),
        (name, other, how, at, quiet) => {
          const framer = framers[name]?.();
          if (framer === undefined) throw new Error(name);
          const whole = name === 'rounds' ? header + round(4) + round(4) : `${logs[0]?.slice(0, 900)}\n</nvidia_smi_log>\n`.repeat(3);
          const stream = how.reduce((damaged, own) => mutated(damaged, own, other), whole);
          expectSound(framed(framer, chunksOf(stream, at), quiet), name);
        },
      ),
      share(0.2),
    );
  });

  it('survive anything', () => {
    const decoder = new TextDecoder();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        readWithAll(decoder.decode(bytes));
      }),
      share(0.1),
    );
  });
});

describe('what was not measured', () => {
  it('is absent, whatever stands in its place, and what is beside it stays', () => {
    fc.assert(
      fc.property(fc.constantFrom(...tokens.filter((token) => !/^\d+$/.test(token) && !token.includes(','))), fc.nat(2), (token, at) => {
        const cells = ['12 %', '4225 MiB', '58'].with(at, token);
        const [row] = framed(new RowRounds(sampleColumns), [`0, ${gpu}, 580.1, ${cells.join(', ')}, 171.29 W, Success\n`]);
        const values: Readonly<Record<string, number>> = row?.kind === 'round' ? (row.round[0]?.values ?? {}) : {};
        const measures = ['gpu-utilization', 'memory-used', 'temperature'];
        // A temperature may be below zero.
        if (token !== '-1' || at !== 2) expect(values).not.toHaveProperty(measures[at] ?? '');
        for (const [other, measure] of measures.entries()) if (other !== at) expect(values).toHaveProperty(measure);
        expect(values['power']).toBe(171.29);
      }),
      share(0.02),
    );
  });

  it('is not made up between garbage: whole rows survive it unchanged, and nothing else does', () => {
    const garbage = fc
      .string({ maxLength: 60 })
      .map((text) => text.replaceAll('\n', ' ').replaceAll(',', ';'))
      .filter((text) => text.trim() !== '');
    fc.assert(
      fc.property(fc.array(garbage, { maxLength: 5 }), fc.integer({ min: 1, max: 16 }), cuts, (noise, count, at) => {
        const lines = [header.trimEnd(), ...round(count).trimEnd().split('\n')];
        const mixed = noise.reduce((whole, own, index) => whole.toSpliced((index * 7) % (whole.length + 1), 0, own), lines);
        const rows = framed(new RowRounds(sampleColumns), chunksOf(`${mixed.join('\n')}\n`, at)).flatMap((own): readonly SampleRow[] =>
          own.kind === 'round' ? own.round : [],
        );

        expect(rows).toHaveLength(count);
        for (const row of rows)
          expect(row.values).toEqual({ 'gpu-utilization': 0.12, 'memory-used': 4225 * 1024 ** 2, temperature: 58, power: 171.29 });
      }),
      share(0.03),
    );
  });
});

describe('streams', () => {
  it('give the same rounds in any chunks', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 6 }), fc.boolean(), cuts, (counts, windows, at) => {
        const text = header + counts.map(round).join('');
        const stream = windows ? text.replaceAll('\n', '\r\n') : text;
        const told = (chunks: readonly string[]): readonly number[] =>
          framed(new RowRounds(sampleColumns), chunks).map((own) => (own.kind === 'round' ? own.round.length : -1));

        expect(told(chunksOf(stream, at))).toEqual(told([stream]));
        expect(told([stream]).at(-1)).toBe(counts.at(-1));
        expect(told([stream])).not.toContain(-1);
      }),
      share(0.03),
    );
  });

  it('give the same documents in any chunks', () => {
    const text = `${logs[0]?.trim()}\n`;
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3 }), cuts, (count, at) => {
        const found = framed(new Documents(), chunksOf(text.repeat(count), at));
        expect(found).toEqual(Array.from({ length: count }, () => ({ kind: 'round', round: expect.stringContaining('<?xml') })));
        expect(found.map((own) => own.kind === 'round' && own.round.trim())).toEqual(Array.from({ length: count }, () => text.trim()));
      }),
      share(0.005),
    );
  });
});

describe('tables', () => {
  const [, ...boxes] = tables;

  it('are never taken for whole when only their beginning is there, unless it ends with a border', () => {
    fc.assert(
      fc.property(fc.constantFrom(...boxes), fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), (text, at) => {
        const border = text.split('\n')[0] ?? '';
        const cut = text.slice(0, Math.floor(at * text.trimEnd().length));
        const read = [parseGpuInstances(cut), parseComputeInstances(cut), parseGpuInstanceProfiles(cut)].some(
          (answer) => answer.kind === 'parsed',
        );
        expect(read && !cut.trimEnd().endsWith(`\n${border}`) && !cut.trimEnd().endsWith('-+')).toBe(false);
      }),
      share(0.025),
    );
  });

  it('never lose one line without it being noticed', () => {
    for (const text of boxes) {
      const lines = text.trimEnd().split('\n');
      for (const at of lines.keys()) {
        const without = lines.toSpliced(at, 1).join('\n');
        const isHeader = at < lines.findIndex((own) => own.startsWith('|==='));
        const read = [parseGpuInstances(without), parseComputeInstances(without), parseGpuInstanceProfiles(without)].some(
          (answer) => answer.kind === 'parsed',
        );
        if (!isHeader) expect(read, `without line ${at}`).toBe(false);
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
      share(0.05),
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
