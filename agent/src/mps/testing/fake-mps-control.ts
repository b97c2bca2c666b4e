import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readAllProcs } from '../../processes/proc.ts';

/** A fake control program in a directory of its own, with what it was asked and what it does wrong. */
export class FakeMpsControl implements Disposable {
  readonly program: string;
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
    mkdirSync(directory, { recursive: true });
    this.program = join(directory, 'nvidia-cuda-mps-control');
    copyFileSync(join(import.meta.dirname, 'fake-mps-control.sh'), this.program);
    chmodSync(this.program, 0o755);
  }

  /** What it was asked, in order: the device for `-d`, else the command. */
  calls(): readonly string[] {
    const file = join(this.#directory, 'calls');
    return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
  }

  /** Beside the program: `broken`, or `hang-` and the first word of a command. */
  spoil(name: string): void {
    writeFileSync(join(this.#directory, name), '');
  }

  mend(name: string): void {
    rmSync(join(this.#directory, name), { force: true });
  }

  /** Daemons and servers that live. */
  processes(kind: 'control' | 'server'): readonly number[] {
    return readAllProcs()
      .map(({ pid }) => pid)
      .filter((pid) => firstWord(pid) === join(this.#directory, `nvidia-cuda-mps-${kind}`));
  }

  [Symbol.dispose](): void {
    for (const kind of ['control', 'server'] as const)
      for (const pid of this.processes(kind)) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // Gone meanwhile.
        }
      }
  }
}

function firstWord(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0')[0];
  } catch {
    return undefined;
  }
}
