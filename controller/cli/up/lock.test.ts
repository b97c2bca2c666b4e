import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { identify, isAlive } from '../locate/process-identity.ts';
import { lockHolder, takeLock } from './lock.ts';

let directory: string;
let file: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'astrago-lock-'));
  file = join(directory, 'supervisor.json');
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('the lock of a data directory', () => {
  it('is held by one, named to the next, and free again after its release', async () => {
    const first = await takeLock(file);
    expect(first.kind).toBe('held');
    expect(await takeLock(file)).toEqual({ kind: 'taken', by: identify(process.pid) });
    if (first.kind === 'held') await first.release();
    expect(await lockHolder(file)).toBeUndefined();
    expect(readdirSync(directory)).toEqual([]);
  });

  it.each([
    ['of a process that is gone', JSON.stringify({ pid: 4_000_000, startTime: 'x:1' })],
    ['of a pid that another process has now', JSON.stringify({ pid: process.pid, startTime: 'x:1' })],
    ['that was cut short', '{"pid":'],
  ])('is taken over from a file %s', async (_what, content) => {
    writeFileSync(file, content);
    expect((await takeLock(file)).kind).toBe('held');
    expect(await lockHolder(file)).toEqual(identify(process.pid));
  });

  it('goes to exactly one of many that find it void', async () => {
    writeFileSync(file, '{}');
    const taken = await Promise.all(Array.from({ length: 8 }, () => takeLock(file)));
    expect(taken.filter((lock) => lock.kind === 'held')).toHaveLength(1);
  });
});

describe('an identity', () => {
  it('is alive for this process and for no other start of its pid', () => {
    const self = identify(process.pid);
    expect(self !== undefined && isAlive(self)).toBe(true);
    expect(isAlive({ pid: process.pid, startTime: '00000000:1' })).toBe(false);
  });
});
