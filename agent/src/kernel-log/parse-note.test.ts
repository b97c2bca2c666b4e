import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseNote } from './parse-note.ts';
import { parseRecord } from './parse-record.ts';

const nobody = { pid: undefined, process: undefined, gpuInstanceId: undefined };

describe('a line of the driver', () => {
  it.each([
    [
      'NVRM: Xid (PCI:0000:07:00): 79, pid=1234, name=python, GPU has fallen off the bus.',
      '0:7:0',
      { code: 79, text: 'GPU has fallen off the bus.', pid: 1234, process: 'python', gpuInstanceId: undefined },
    ],
    [
      "NVRM: Xid (PCI:0000:05:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.",
      '0:5:0',
      { ...nobody, code: 79, text: 'GPU has fallen off the bus.' },
    ],
    [
      'NVRM: Xid (PCI:00000000:3B:00): 48, An uncorrectable double bit error (DBE) has been detected on GPU in the framebuffer',
      '0:3b:0',
      { ...nobody, code: 48, text: 'An uncorrectable double bit error (DBE) has been detected on GPU in the framebuffer' },
    ],
    [
      'NVRM: Xid (PCI:0000:3b:00): 13, Graphics SM Warp Exception on (GPC 7, TPC 0, SM 0): Out Of Range Address',
      '0:3b:0',
      { ...nobody, code: 13, text: 'Graphics SM Warp Exception on (GPC 7, TPC 0, SM 0): Out Of Range Address' },
    ],
    [
      'NVRM: Xid (PCI:0000:3b:00 GPU-I:0a): 94, pid=77, name=train.py, Contained: SM (0x1). RST: No, D-RST: No',
      '0:3b:0',
      { code: 94, text: 'Contained: SM (0x1). RST: No, D-RST: No', pid: 77, process: 'train.py', gpuInstanceId: 10 },
    ],
    ['NVRM: Xid (0000:03:00): 14, Channel 00000001', '0:3:0', { ...nobody, code: 14, text: 'Channel 00000001' }],
    ['NVRM: Xid (PCI:0009:01:00): 63', '9:1:0', { ...nobody, code: 63, text: '' }],
    [
      "NVRM: Xid (PCI:0009:01:00): 45, pid='4711', name=a b, Ch 00000008",
      '9:1:0',
      { ...nobody, code: 45, text: 'Ch 00000008', pid: 4711, process: 'a b' },
    ],
  ])('%s', (line, pci, xid) => {
    expect(parseNote(line)).toEqual([{ kind: 'xid', pci, xid }]);
    // However it came here.
    for (const prefix of ['[  123.456789] ', '4,1234,567890123,-;', 'Nov 25 08:20:40 node-1 kernel: ', '<4>[12345.000001] '])
      expect(parseNote(parseRecord(prefix + line)?.text ?? '')).toEqual([{ kind: 'xid', pci, xid }]);
  });

  it('that tells what it asks for now', () => {
    const line = 'NVRM: Xid (PCI:0019:01:00): 154, GPU recovery action changed from 0x4 (Drain and Reset) to 0x1 (GPU Reset Required)';
    expect(parseNote(line)).toMatchObject([
      { kind: 'xid', xid: { code: 154 } },
      { kind: 'recovery', pci: '19:1:0', word: 'reset' },
    ]);
    for (const [code, word] of [
      ['0x0 (None)', 'none'],
      ['0x2 (Node Reboot Required)', 'reboot'],
      ['0x3 (Drain P2P)', 'drain'],
      ['0x4 (Drain and Reset)', 'drain-and-reset'],
    ])
      expect(
        parseNote(`NVRM: Xid (PCI:0000:01:00): 154, GPU recovery action changed from 0x1 (GPU Reset Required) to ${code}`),
      ).toContainEqual({
        kind: 'recovery',
        pci: '0:1:0',
        word,
      });
  });

  it('that names a GPU, and one of a person who has reset it', () => {
    const gpu = 'GPU-12345678-1234-1234-1234-123456789abc';
    expect(parseNote(`NVRM: GPU at PCI:0000:07:00: ${gpu}`)).toEqual([{ kind: 'named', pci: '0:7:0', gpu }]);
    expect(parseNote('astrago: GPU reset (PCI:0000:07:00)')).toEqual([{ kind: 'reset', pci: '0:7:0' }]);
  });

  it.each([
    '',
    'usb 1-1: new device',
    'NVRM: loading NVIDIA UNIX x86_64 Kernel Module  580.65.06',
    'NVRM: Xid (invalid): some error',
    'NVRM: Xid error: xyz, invalid data',
    'NVRM: Xid (PCI:0000:07:00): , pid=1',
    'NVRM: GPU at PCI:0000:07:00: GPU-1',
    'a program printed: astrago: GPU reset (PCI:0000:07:00)',
  ])('that says nothing of the kind: %j', (line) => {
    expect(parseNote(line)).toEqual([]);
  });

  it('never throws and never grows, whatever it is', () => {
    const pieces = fc.constantFrom(
      'NVRM: ',
      'Xid ',
      '(',
      'PCI:',
      '0000:07:00',
      ' GPU-I:',
      '):',
      ' 79',
      ', ',
      'pid=',
      "'<unknown>'",
      'name=',
      '154',
      'recovery action changed from 0x',
      '\u0000',
      '[',
      ']',
      ';',
      '\n',
    );
    const lines = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.array(fc.oneof(pieces, fc.string({ maxLength: 6 })), { maxLength: 30 }).map((parts) => parts.join('')),
      fc.string({ maxLength: 5000 }).map((text) => `NVRM: Xid (PCI:0000:07:00): 13, pid=1, name=${text}, ${text}`),
    );
    fc.assert(
      fc.property(lines, (line) => {
        const notes = parseNote(parseRecord(line)?.text ?? line);
        expect(JSON.stringify(notes).length).toBeLessThan(3000);
        for (const note of notes) if (note.kind === 'xid') expect(Number.isInteger(note.xid.code)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('a record', () => {
  it('tells when it was logged, where its line does', () => {
    expect(parseRecord('4,1234,567890123,-;NVRM: x')).toEqual({ sinceBootUs: 567_890_123, text: 'NVRM: x' });
    expect(parseRecord('4,1234,5,c,caller=T12;a;b')).toEqual({ sinceBootUs: 5, text: 'a;b' });
    expect(parseRecord('[    1.000002] NVRM: x')).toEqual({ sinceBootUs: 1_000_002, text: 'NVRM: x' });
    expect(parseRecord('Nov 25 08:20:40 node-1 kernel: NVRM: x')?.sinceBootUs).toBeUndefined();
  });

  it('has a dictionary that is no record', () => {
    expect(parseRecord(' SUBSYSTEM=pci')).toBeUndefined();
    expect(parseRecord('')).toBeUndefined();
  });
});
