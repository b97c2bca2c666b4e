// processes.json: what a supervisor has started, so that the next one, or `down`, can end it after a kill -9.
import { readJsonFile, writeJsonFile } from '../locate/json-file.ts';
import { type ProcessIdentity, parseIdentity } from '../locate/process-identity.ts';

export interface BookedProcess extends ProcessIdentity {
  readonly name: string;
}

export class ProcessBook {
  readonly #file: string;
  readonly #entries = new Map<string, BookedProcess>();
  #writing: Promise<void> = Promise.resolve();

  constructor(file: string) {
    this.#file = file;
  }

  /** Replaces what was noted under this name. */
  async note(name: string, identity: ProcessIdentity): Promise<void> {
    this.#entries.set(name, { name, ...identity });
    // One write at a time, each with the newest content.
    this.#writing = this.#writing.catch(() => undefined).then(() => writeJsonFile(this.#file, { processes: [...this.#entries.values()] }));
    await this.#writing;
  }
}

export async function readProcessBook(file: string): Promise<readonly BookedProcess[]> {
  const listed = (await readJsonFile(file))?.['processes'];
  if (!Array.isArray(listed)) return [];
  const found: BookedProcess[] = [];
  for (const entry of listed as readonly Readonly<Record<string, unknown>>[]) {
    const identity = parseIdentity(entry);
    if (identity !== undefined && typeof entry['name'] === 'string') found.push({ name: entry['name'], ...identity });
  }
  return found;
}
