import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Scratch } from '../testing/scratch.ts';
import { lockDirectory } from './directory-lock.ts';

let scratch: Scratch;
beforeEach(() => {
  scratch = new Scratch();
});
afterEach(() => scratch[Symbol.asyncDispose]());

describe('the lock of a data directory', () => {
  it('has one holder at a time, also among many who ask at once', async () => {
    const asked = await Promise.allSettled(Array.from({ length: 10 }, () => lockDirectory(scratch.directory)));

    const held = asked.filter((one) => one.status === 'fulfilled');
    expect(held).toHaveLength(1);
    await held[0]?.value[Symbol.asyncDispose]();
    await (await lockDirectory(scratch.directory))[Symbol.asyncDispose]();
  });

  it('is free again when its holder was killed, and names a living one', async () => {
    const script = `const { lockDirectory } = await import(${JSON.stringify(join(import.meta.dirname, 'directory-lock.ts'))}); await lockDirectory(${JSON.stringify(scratch.directory)}); process.stdout.write('held'); setInterval(() => undefined, 1000);`;
    const holder = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(holder.stdout, 'data');

    await expect(lockDirectory(scratch.directory)).rejects.toThrow(`another agent (process ${holder.pid}) works on ${scratch.directory}`);
    const gone = once(holder, 'exit');
    holder.kill('SIGKILL');
    await gone;

    await (await lockDirectory(scratch.directory))[Symbol.asyncDispose]();
  });
});
