import { appendFileSync, mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GpuUuid } from '@astrago/shared/domain/ids';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { KernelLog } from '../app/health-ports.ts';
import { DeviceSource } from './device-source.ts';
import { openKernelLog } from './kernel-log.ts';
import { openResetMemory } from './reset-memory.ts';

let directory: string;
let file: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'astrago-kernel-log-'));
  file = join(directory, 'kmsg');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const uptimeMs = (): number => 1000_000;
let sequence = 0;

function line(xid: number, sinceBootMs: number): string {
  sequence += 1;
  return `4,${sequence},${sinceBootMs * 1000},-;NVRM: Xid (PCI:0000:07:00): ${xid}, pid=1, name=python, text\n SUBSYSTEM=pci\n`;
}

/** Codes and ages of all that is there now. */
async function taken(log: KernelLog): Promise<readonly (readonly [number, number])[]> {
  const found: (readonly [number, number])[] = [];
  for (;;) {
    const { notes, more } = await log.take();
    for (const note of notes) if (note.kind === 'xid') found.push([note.xid.code, note.ageMs]);
    if (!more) return found;
  }
}

describe('a kernel log in a file', () => {
  it('is read from its beginning, with the age of what is old, and then as it grows', async () => {
    writeFileSync(file, line(48, 400_000) + line(13, 2000_000));
    await using log = openKernelLog({ path: file, uptimeMs });
    expect(await taken(log)).toEqual([
      [48, 600_000],
      [13, 0],
    ]);
    expect(await taken(log)).toEqual([]);
    appendFileSync(file, line(79, 5));
    expect(await taken(log)).toEqual([[79, 0]]);
  });

  it('waits for the end of a line that is half written', async () => {
    writeFileSync(file, '');
    await using log = openKernelLog({ path: file, uptimeMs });
    await taken(log);
    const text = line(79, 5);
    appendFileSync(file, text.slice(0, 40));
    expect(await taken(log)).toEqual([]);
    appendFileSync(file, text.slice(40));
    expect(await taken(log)).toEqual([[79, 0]]);
  });

  it('goes on after it was cut to nothing, put aside, or taken away', async () => {
    writeFileSync(file, line(13, 5).repeat(3));
    await using log = openKernelLog({ path: file, uptimeMs });
    expect(await taken(log)).toHaveLength(3);
    truncateSync(file);
    appendFileSync(file, line(31, 5));
    expect(await taken(log)).toEqual([[31, 0]]);
    renameSync(file, `${file}.1`);
    writeFileSync(file, line(43, 5).repeat(9));
    expect(await taken(log)).toHaveLength(9);
    rmSync(file);
    expect((await log.take()).status).toEqual({
      kind: 'unreadable',
      detail: `${file} cannot be read (ENOENT): it is not there; in a container it has to be passed in`,
    });
    writeFileSync(file, line(79, 5));
    expect(await taken(log)).toEqual([[79, 0]]);
    expect((await log.take()).status.kind).toBe('readable');
  });

  it('takes what comes later, where there was none', async () => {
    await using log = openKernelLog({ path: file, uptimeMs });
    expect((await log.take()).status.kind).toBe('unreadable');
    writeFileSync(file, line(79, 5));
    expect(await taken(log)).toEqual([[79, 0]]);
  });

  it('is not looked for in what is no log', async () => {
    await using log = openKernelLog({ path: directory, uptimeMs });
    expect((await log.take()).status).toEqual({
      kind: 'unreadable',
      detail: `${directory} cannot be read: it is neither a device nor a file`,
    });
  });

  it('leaves out old lines that do not say when they were logged', async () => {
    const untimed = 'Nov 25 08:20:40 node-1 kernel: NVRM: Xid (PCI:0000:07:00): 79, GPU has fallen off the bus.\n';
    writeFileSync(file, untimed);
    await using log = openKernelLog({ path: file, uptimeMs });
    expect(await taken(log)).toEqual([]);
    appendFileSync(file, untimed);
    expect(await taken(log)).toEqual([[79, 0]]);
  });

  it('takes a bounded amount at a time, and of a huge file only the end', async () => {
    const noise = 'x'.repeat(99);
    writeFileSync(file, `${line(48, 1)}${`${noise}\n`.repeat(60_000)}${'y'.repeat(100_000)}\n${line(79, 999_000)}`);
    await using log = openKernelLog({ path: file, uptimeMs });
    const first = await log.take();
    expect(first.more).toBe(true);
    expect(first.notes).toEqual([]);
    expect(await taken(log)).toEqual([[79, 1000]]);
  });
});

describe('the device of the kernel', () => {
  it('is read without waiting for what is not there yet', async () => {
    await using log = openKernelLog({ path: '/dev/kmsg', uptimeMs });
    const { status } = await log.take();
    // Where it may not be read, the answer says what is missing.
    if (status.kind === 'unreadable') expect(status.detail).toMatch(/^\/dev\/kmsg cannot be read \((EPERM|EACCES|ENOENT)\): /);
    else expect(status.lostRecords).toBe(0);
  });

  it('goes on after records were overwritten, counts them, and gives none twice', async () => {
    const fault = (code: string): Error => Object.assign(new Error(code), { code });
    const script = [
      '4,7,1,-;one\n SUBSYSTEM=pci\n',
      fault('EPIPE'),
      '4,12,2,-;two\n',
      fault('EAGAIN'),
      '4,13,3,-;three\n',
      fault('EIO'),
      '4,12,2,-;two\n',
      '4,13,3,-;three\n',
      '4,14,4,-;four\n',
      fault('EAGAIN'),
    ];
    let opened = 0;
    const source = new DeviceSource('/dev/kmsg', async () => {
      opened += 1;
      return {
        read: async (buffer) => {
          const next = script.shift();
          if (typeof next === 'string') return { bytesRead: buffer.write(next) };
          throw next ?? fault('EAGAIN');
        },
        close: async () => undefined,
      };
    });
    expect(await source.read()).toEqual({ lines: ['4,7,1,-;one', '4,12,2,-;two'], lost: 4, more: false });
    await expect(source.read()).rejects.toThrow('EIO');
    expect(await source.read()).toEqual({ lines: ['4,14,4,-;four'], lost: 0, more: false });
    expect(opened).toBe(2);
  });
});

describe('the memory of resets', () => {
  const gpu = 'GPU-12345678-1234-1234-1234-123456789abc' as GpuUuid;
  const log = (): undefined => undefined;

  it('survives the agent and not the boot, and a damaged file is none', async () => {
    let up = 1000;
    const options = { file, uptimeMs: () => up, log };
    const first = await openResetMemory({ ...options, bootId: 'one' });
    expect(first.ageMs(gpu)).toBeUndefined();
    await first.note(gpu);
    up = 5000;
    expect(first.ageMs(gpu)).toBe(4000);
    expect((await openResetMemory({ ...options, bootId: 'one' })).ageMs(gpu)).toBe(4000);
    expect((await openResetMemory({ ...options, bootId: 'two' })).ageMs(gpu)).toBeUndefined();
    truncateSync(file, 20);
    expect((await openResetMemory({ ...options, bootId: 'one' })).ageMs(gpu)).toBeUndefined();
  });

  it('holds until the agent ends where it cannot be stored', async () => {
    const told: string[] = [];
    const memory = await openResetMemory({
      file: join(directory, 'gone', 'resets.json'),
      bootId: 'one',
      uptimeMs,
      log: (_, message) => told.push(message),
    });
    await memory.note(gpu);
    expect(memory.ageMs(gpu)).toBe(0);
    expect(told).toHaveLength(1);
  });
});
