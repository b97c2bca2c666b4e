import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Scratch } from '../../testing/scratch.ts';
import type { SmiAnswer } from '../surroundings.ts';
import { isReadOnly, recordCommands } from './recorded-commands.ts';
import { ustar } from './ustar.ts';
import { writeBundle } from './write-bundle.ts';

let scratch: Scratch;
beforeEach(() => {
  scratch = new Scratch();
});
afterEach(() => scratch[Symbol.asyncDispose]());

const files = [
  { path: 'manifest.json', content: '{}\n' },
  { path: 'files/000.out', content: `${'ä'.repeat(300)}\n` },
  { path: 'files/000.err', content: '' },
];

describe('a written bundle', () => {
  it.each([['b.tar'], ['b.tar.gz'], ['b.tgz']])('as %s is what tar reads', async (name) => {
    await writeBundle(files, scratch.path(name), 1_700_000_000_000);

    mkdirSync(scratch.path('out'));
    execFileSync('tar', ['-xf', scratch.path(name), '-C', scratch.path('out')]);
    for (const { path, content } of files) expect(readFileSync(scratch.path('out', path), 'utf8')).toBe(content);
    expect(statSync(scratch.path(name)).mode & 0o777).toBe(0o600);
  });

  it('as a directory holds the same, for its owner only', async () => {
    await writeBundle(files, `${scratch.path('b')}/`, 0);

    for (const { path, content } of files) expect(readFileSync(scratch.path('b', path), 'utf8')).toBe(content);
    expect(statSync(scratch.path('b')).mode & 0o077).toBe(0);
  });

  it('replaces nothing, and says what is in the way', async () => {
    writeFileSync(scratch.path('there.tar'), 'mine');
    mkdirSync(scratch.path('full'));
    writeFileSync(scratch.path('full', 'x'), '');

    await expect(writeBundle(files, scratch.path('there.tar'), 0)).rejects.toThrow('is there already; name another file');
    await expect(writeBundle(files, `${scratch.path('full')}/`, 0)).rejects.toThrow('is not empty; name another directory');
    await expect(writeBundle(files, scratch.path('full'), 0)).rejects.toThrow(/there already|is a directory/);
    await expect(writeBundle(files, scratch.path('nowhere', 'b.tar'), 0)).rejects.toThrow(/nowhere\/b\.tar cannot be written: ENOENT/);
    expect(readFileSync(scratch.path('there.tar'), 'utf8')).toBe('mine');
    expect(readdirSync(scratch.path('full'))).toEqual(['x']);
  });

  it('is whole blocks, whatever the content', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 2000 }), (content) => {
        expect(ustar([{ path: 'a', content }], 0).length % 512).toBe(0);
      }),
    );
  });
});

const ended = (stdout: string, exitCode = 0): SmiAnswer => ({ kind: 'ended', exitCode, stdout, stderr: '', ms: 1 });

describe('recording', () => {
  it('asks only what changes nothing, all fields that the driver knows, one command at a time', async () => {
    const asked: string[] = [];
    let running = 0;
    const { commands, notRecorded } = await recordCommands(async (args) => {
      running += 1;
      expect(running).toBe(1);
      await Promise.resolve();
      asked.push(args.join(' '));
      running -= 1;
      if (args[0] === '--help-query-gpu') return ended('Help:\n"timestamp"\nWhen.\n"uuid" or "gpu_uuid"\nOf a board.\n');
      if (args[0] === 'mig') return ended('No MIG-enabled devices found.\n', 6);
      return args[0] === '--help-query-compute-apps' ? ended('', 2) : ended('fine\n');
    });

    expect(asked).toEqual([
      '--help-query-gpu',
      '--help-query-compute-apps',
      '--query-gpu=timestamp,uuid --format=csv',
      ...['--version', '-L', '-q -x', '-q', 'mig -lgip', 'mig -lgipp', 'mig -lgi', 'mig -lci', 'mig -lcip', 'topo -m', 'compute-policy -l'],
    ]);
    expect(commands.map(({ args }) => args.join(' '))).toEqual(asked);
    expect(commands.find(({ args }) => args[0] === 'mig')).toMatchObject({ exitCode: 6, stdout: 'No MIG-enabled devices found.\n' });
    expect(notRecorded).toEqual([]);
  });

  it('ends with the first command that hangs, and keeps what came before', async () => {
    const { commands, notRecorded } = await recordCommands((args) =>
      Promise.resolve(args[0] === '-L' ? { kind: 'given-up', ms: 20_000 } : ended('')),
    );

    expect(commands.map(({ args }) => args.join(' '))).toEqual(['--help-query-gpu', '--help-query-compute-apps', '--version']);
    expect(notRecorded[0]).toEqual({ args: ['-L'], reason: 'did not end in time' });
    expect(notRecorded).toHaveLength(10);
  });

  it('knows nothing that changes a GPU', () => {
    const changing = [
      '-r',
      '--gpu-reset',
      '-mig',
      '-pm',
      '-c',
      '-pl',
      '-lgc',
      '-rgc',
      '-cgi',
      '-cci',
      '-dgi',
      '-dci',
      '--set-timeslice',
      '-e',
      '-p',
      '-ac',
    ];
    const looking = ['-L', '-q', '-x', 'mig', '-lgi', 'topo', '-m', 'compute-policy', '-l', '-i', '0', '--query-gpu=uuid', '--format=csv'];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...looking), { maxLength: 4 }), fc.constantFrom(...changing), fc.nat(4), (words, change, at) => {
        expect(isReadOnly(words.toSpliced(at, 0, change))).toBe(false);
      }),
    );
    expect(isReadOnly(['--query-gpu=uuid;reboot', '--format=csv'])).toBe(false);
    expect(isReadOnly(['--query-gpu=uuid', '--format=csv', '-f'])).toBe(false);
    expect(isReadOnly([])).toBe(false);
    expect(isReadOnly(['mig', '-lgi'])).toBe(true);
  });
});
