// On a real file system and with real writers: that a hole moves nothing and loses nothing is what the kernel does.
import { appendFileSync, existsSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Output, OutputPiece } from '../app/ports.ts';
import { followOutput } from '../grpc/follow-output.ts';
import { Scratch } from '../testing/scratch.ts';
import { until } from '../testing/until.ts';
import { LocalLauncher } from './launcher.ts';
import { readFrom, startMark, trimOutput } from './output-file.ts';
import { readBootId } from './proc.ts';
import { punchHoleBy } from './punch-hole.ts';

// Real processes on a machine that may be busy with other tests.
vi.setConfig({ testTimeout: 180_000 });

const tools = process.env['PATH'] ?? '/usr/bin:/bin';
const punchHole = punchHoleBy(tools);
const lineBytes = 16;

let scratch: Scratch;
let file: string;

beforeEach(() => {
  scratch = new Scratch();
  file = scratch.path('output.log');
});
afterEach(() => scratch[Symbol.asyncDispose]());

/** Lines of one length, so that a place in the output tells what has to be there. */
function lines(from: number, to: number): string {
  return Array.from({ length: to - from }, (_, index) => `${String(from + index).padStart(lineBytes - 1, '0')}\n`).join('');
}

/** What is read, checked to be what was written there; where it began, and what was left out. */
async function checked(output: Output | undefined): Promise<{ readonly from: number | undefined; readonly bytes: number }> {
  let from: number | undefined;
  let bytes = 0;
  for await (const piece of output?.read(output.size) ?? []) {
    from ??= piece.offset;
    const first = Math.floor(piece.offset / lineBytes);
    const there = lines(first, Math.ceil((piece.offset + piece.bytes.length) / lineBytes));
    const at = piece.offset - first * lineBytes;
    expect(Buffer.from(piece.bytes).toString('latin1') === there.slice(at, at + piece.bytes.length)).toBe(true);
    bytes += piece.bytes.length;
  }
  return { from, bytes };
}

describe('a large output', () => {
  it('gives its older half back to the disk, and keeps the place of the rest', async () => {
    writeFileSync(file, lines(0, 65_536));
    const before = statSync(file);

    expect(await trimOutput(file, 512 * 1024, punchHole)).toBe(true);

    const after = statSync(file);
    expect(after.size).toBe(before.size);
    expect(after.blocks).toBeLessThan(before.blocks / 2);
    expect(await checked(await readFrom([file], 0))).toEqual({ from: 786_432 + lineBytes, bytes: 262_144 - lineBytes });
    expect(await checked(await readFrom([file], 900_000))).toEqual({ from: 900_000, bytes: 2 ** 20 - 900_000 });
    expect(await trimOutput(file, 512 * 1024, punchHole)).toBe(false);
  });

  it('is cut at the end of a line, or within one that has no end in sight', async () => {
    writeFileSync(file, 'x'.repeat(300_000));
    expect(await trimOutput(file, 200_000, punchHole)).toBe(true);
    const output = await readFrom([file], 0);
    const found: OutputPiece[] = [];
    for await (const piece of output?.read(output.size) ?? []) found.push(piece);
    expect(found[0]?.offset).toBe(200_000);
    expect(Buffer.concat(found.map(({ bytes }) => bytes)).toString('latin1')).toBe('x'.repeat(100_000));
  });

  it('that cannot be cut stays whole, and a small one or none is left alone', async () => {
    writeFileSync(file, lines(0, 1000));
    expect(await trimOutput(file, 16_000, punchHole)).toBe(false);
    expect(await trimOutput(scratch.path('nothing'), 1, punchHole)).toBe(false);
    expect(existsSync(startMark(file))).toBe(false);
    await expect(trimOutput(file, 8000, punchHoleBy(scratch.directory))).rejects.toThrow('no fallocate');
    expect(await checked(await readFrom([file], 0))).toEqual({ from: 0, bytes: 16_000 });
  });

  it('whose agent was killed between telling of the cut and making it is cut by the next', async () => {
    writeFileSync(file, lines(0, 65_536));
    const killed = trimOutput(file, 512 * 1024, async (of) => {
      if (of === file) throw new Error('killed');
    });
    await expect(killed).rejects.toThrow('killed');
    const blocks = statSync(file).blocks;
    appendFileSync(file, lines(65_536, 100_000));

    expect(await trimOutput(file, 512 * 1024, punchHole)).toBe(true);
    expect(statSync(file).blocks).toBeLessThan(blocks);
    expect(await checked(await readFrom([file], 0))).toMatchObject({ from: 1_600_000 - 262_144 + lineBytes });
  });

  it('that its command emptied is what was written since', async () => {
    writeFileSync(file, lines(0, 65_536));
    await trimOutput(file, 512 * 1024, punchHole);
    truncateSync(file);
    appendFileSync(file, lines(0, 10));
    expect(await checked(await readFrom([file], 0))).toEqual({ from: 0, bytes: 160 });
  });
});

it('an output that moves between being found and being read is read where it has gone', async () => {
  const gone = scratch.path('ended.log');
  writeFileSync(file, lines(0, 1000));
  const found = await readFrom([file, gone], 0);
  renameSync(file, gone);

  expect(await checked(found)).toEqual({ from: 0, bytes: 16_000 });
  rmSync(gone);
  await expect(checked(found)).rejects.toThrow('is gone');
});

describe('a command that prints without end', () => {
  const bytesMax = 128 * 1024;
  const makeLauncher = (): LocalLauncher =>
    new LocalLauncher({
      directory: scratch.path('allocations'),
      bootId: readBootId(),
      environment: { PATH: tools },
      outputMaxBytes: bytesMax,
      onExit: () => undefined,
    });

  it('is read by a follower while it is cut: every byte in its place, and a gap where it was too slow', async () => {
    const id = scratch.allocation();
    const launcher = makeLauncher();
    const count = 40_000;
    await launcher.start({
      allocation: id,
      workload: 'w',
      devices: [],
      command: ['awk', `BEGIN { for (i = 0; i < ${count}; i++) printf "%015d\\n", i }`],
      environment: { ASTRAGO_ALLOCATION_ID: id },
      workingDirectory: undefined,
    });
    let over = false;
    const trimming = (async () => {
      while ((await launcher.state(id)).kind !== 'exited') await launcher.trimOutputs();
      over = true;
    })();
    let end = 0;
    for await (const piece of followOutput(launcher, id, 0, () => !over, new AbortController().signal)) {
      expect(piece.offset).toBeGreaterThanOrEqual(end);
      end = piece.offset + piece.bytes.length;
      const first = Math.floor(piece.offset / lineBytes);
      const at = piece.offset - first * lineBytes;
      const there = lines(first, Math.ceil(end / lineBytes)).slice(at, at + piece.bytes.length);
      expect(Buffer.from(piece.bytes).toString('latin1') === there).toBe(true);
    }
    await trimming;

    expect(end).toBe(count * lineBytes);
  });

  it('prints on without an agent, is cut by the next, and is known to be cut when it is forgotten', async () => {
    const id = scratch.allocation();
    const first = makeLauncher();
    await first.start({
      allocation: id,
      workload: 'w',
      devices: [],
      command: ['awk', 'BEGIN { for (i = 0; i < 40000; i++) printf "%015d\\n", i }'],
      environment: { ASTRAGO_ALLOCATION_ID: id },
      workingDirectory: undefined,
    });
    const next = makeLauncher();
    await until(async () => (await next.state(id)).kind === 'exited', 'the command has printed everything');
    expect(await checked(await next.output(id, 0))).toEqual({ from: 0, bytes: 640_000 });

    expect(await next.trimOutputs()).toEqual([]);
    const from = 640_000 - bytesMax / 2 + lineBytes;
    expect(await checked(await next.output(id, 0))).toEqual({ from, bytes: 640_000 - from });
    await next.forget(id);
    expect(await checked(await next.output(id, 0))).toEqual({ from, bytes: 640_000 - from });
  });
});
