import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { TemporaryDirectory } from '../testing/temporary-directory.ts';
import { lockDirectory } from './directory-lock.ts';

describe('the lock of a data directory', () => {
  it('has one holder at a time', async () => {
    using directory = new TemporaryDirectory();
    const first = await lockDirectory(directory.path);

    await expect(lockDirectory(directory.path)).rejects.toThrow(`another controller works on ${directory.path}`);
    await first[Symbol.asyncDispose]();

    await using _second = await lockDirectory(directory.path);
  });

  it('makes the directory, for its owner only', async () => {
    using directory = new TemporaryDirectory();

    await using _lock = await lockDirectory(directory.file('new', 'data'));

    expect(statSync(directory.file('new', 'data')).mode & 0o777).toBe(0o700);
  });

  it('is free again when its holder was killed', async () => {
    using directory = new TemporaryDirectory();
    const holder = spawn(process.execPath, [join(import.meta.dirname, '../testing/hold-lock.ts'), directory.path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(holder.stdout, 'data');
    await expect(lockDirectory(directory.path)).rejects.toThrow('another controller');

    holder.kill('SIGKILL');
    await once(holder, 'exit');

    await using _lock = await lockDirectory(directory.path);
  });
});
