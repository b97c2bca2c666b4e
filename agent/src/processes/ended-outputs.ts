import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Output } from '../app/ports.ts';
import { readFrom } from './allocation-files.ts';

/** Output of forgotten allocations, so that "what did it print?" can still be answered; the oldest go first. */
export class EndedOutputs {
  readonly #directory: string;
  readonly #countMax: number;

  constructor(deps: { readonly directory: string; readonly countMax: number }) {
    this.#directory = deps.directory;
    this.#countMax = deps.countMax;
  }

  async keep(allocation: string, file: string): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    await rename(file, this.#file(allocation)).catch(() => undefined);
    const names = await readdir(this.#directory);
    // Not each time: looking at all of them costs.
    if (names.length > this.#countMax * 1.1) await this.#trim(names);
  }

  read(allocation: string, offset: number): Promise<Output | undefined> {
    return readFrom(this.#file(allocation), offset);
  }

  async #trim(names: readonly string[]): Promise<void> {
    const aged = await Promise.all(
      names.map(async (name) => ({ name, atMs: (await stat(join(this.#directory, name)).catch(() => undefined))?.mtimeMs ?? 0 })),
    );
    aged.sort((a, b) => a.atMs - b.atMs);
    for (const { name } of aged.slice(0, names.length - this.#countMax)) await rm(join(this.#directory, name), { force: true });
  }

  #file(allocation: string): string {
    return join(this.#directory, `${allocation}.log`);
  }
}
