import { link, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Output } from '../app/ports.ts';
import { readFrom, startMark } from './output-file.ts';

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
    // At both places while the output moves, so that nobody reads it without knowing where it begins.
    await link(startMark(file), startMark(this.#file(allocation))).catch(() => undefined);
    await rename(file, this.#file(allocation)).catch(() => undefined);
    const names = (await readdir(this.#directory)).filter((name) => name.endsWith('.log'));
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
    for (const { name } of aged.slice(0, names.length - this.#countMax)) {
      const file = join(this.#directory, name);
      for (const gone of [file, startMark(file)]) await rm(gone, { force: true });
    }
  }

  #file(allocation: string): string {
    return join(this.#directory, `${allocation}.log`);
  }
}
