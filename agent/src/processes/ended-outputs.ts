import { link, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { startMark } from './output-file.ts';

/** Output of forgotten allocations, so that "what did it print?" can still be answered; the oldest go first. */
export class EndedOutputs {
  readonly #directory: string;
  readonly #countMax: number;
  readonly #bytesMax: number;
  /** Something came since it was last looked whether all of it is too much. */
  #grown = true;

  constructor(deps: { readonly directory: string; readonly countMax: number; readonly bytesMax: number }) {
    this.#directory = deps.directory;
    this.#countMax = deps.countMax;
    this.#bytesMax = deps.bytesMax;
  }

  async keep(allocation: string, file: string): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    // At both places while the output moves, so that nobody reads it without knowing where it begins.
    await link(startMark(file), startMark(this.file(allocation))).catch(() => undefined);
    await rename(file, this.file(allocation)).catch(() => undefined);
    this.#grown = true;
  }

  /** Removes the oldest until the rest is few enough and small enough. Looking at all of them costs, so not with each that is kept. */
  async trim(): Promise<void> {
    if (!this.#grown) return;
    this.#grown = false;
    const names = (await readdir(this.#directory).catch(() => [])).filter((name) => name.endsWith('.log'));
    const found = await Promise.all(names.map((name) => this.#measure(join(this.#directory, name))));
    found.sort((a, b) => b.atMs - a.atMs);
    let bytes = 0;
    for (const [index, one] of found.entries()) {
      bytes += one.bytes;
      if (index < this.#countMax && bytes <= this.#bytesMax) continue;
      for (const gone of [one.file, startMark(one.file)]) await rm(gone, { force: true });
    }
  }

  async #measure(file: string): Promise<{ readonly file: string; readonly atMs: number; readonly bytes: number }> {
    const facts = await stat(file).catch(() => undefined);
    // What it takes on the disk, in blocks of 512 bytes: its head may be a hole.
    return { file, atMs: facts?.mtimeMs ?? 0, bytes: (facts?.blocks ?? 0) * 512 };
  }

  /** Where the output of a forgotten allocation is. */
  file(allocation: string): string {
    return join(this.#directory, `${allocation}.log`);
  }
}
