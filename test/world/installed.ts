// The program as a user has it: `./astrago` run by a shell, with a data directory of its own.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class Installed implements Disposable {
  readonly data = mkdtempSync(join(tmpdir(), 'astrago-data-'));

  /** Runs one line as typed at a prompt in the repository. */
  run(line: string, limitMs = 120_000): Ran {
    const environment = { ...process.env, ASTRAGO_DATA: this.data, ASTRAGO_NODE: process.execPath, NO_COLOR: '1' };
    const ran = spawnSync('/bin/sh', ['-c', line], { cwd: root, encoding: 'utf8', timeout: limitMs, env: environment });
    return { code: ran.status ?? 1, stdout: ran.stdout, stderr: ran.stderr };
  }

  /** The JSON document that a command prints; its failure is thrown with what it said. */
  json(line: string, limitMs?: number): unknown {
    const ran = this.run(`${line} --json`, limitMs);
    if (ran.code !== 0) throw new Error(`${line} ended with ${ran.code}:\n${ran.stdout}${ran.stderr}`);
    return JSON.parse(ran.stdout);
  }

  [Symbol.dispose](): void {
    this.run('./astrago down');
    rmSync(this.data, { recursive: true, force: true, maxRetries: 5 });
  }
}
