import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const main = fileURLToPath(new URL('./main.ts', import.meta.url));

describe('the program', () => {
  it('is quiet when its reader goes away', async () => {
    const child = spawn('/bin/sh', ['-c', `"${process.execPath}" "${main}" help submit | true`], { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await new Promise((resolve) => child.once('close', resolve));
    expect(said).toBe('');
  });

  it('ends with its exit code', async () => {
    const child = spawn(process.execPath, [main, 'frob'], { stdio: 'ignore' });
    expect(await new Promise((resolve) => child.once('close', resolve))).toBe(2);
  });
});
