import { type FileHandle, open, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { GpuUuid } from '@astrago/shared/domain/ids';
import { syncDirectory } from '../files/write-durably.ts';
import { sealed, unsealed } from './seal.ts';
import { setAside } from './sealed-file.ts';

const bytesMax = 4 * 1024 * 1024;

interface Opened {
  readonly file: string;
  readonly handle: FileHandle;
  readonly size: number;
  readonly bootId: string;
  readonly nowMs: () => number;
}

interface OpenIntent {
  readonly gpu: GpuUuid;
  readonly step: string;
  readonly boot: string;
}

/**
 * Intents and outcomes of steps, a sealed line each. For people and for the audit: after a crash the agent looks at
 * the GPU again, not at what it meant to do. Not safe for writes side by side.
 */
export class StepJournal implements AsyncDisposable {
  readonly #file: string;
  readonly #bootId: string;
  readonly #nowMs: () => number;
  #handle: FileHandle;
  /** Of what is known to be whole; what a failed write left behind it is cut. */
  #size: number;

  private constructor(opened: Opened) {
    this.#file = opened.file;
    this.#handle = opened.handle;
    this.#size = opened.size;
    this.#bootId = opened.bootId;
    this.#nowMs = opened.nowMs;
  }

  /**
   * Cuts a torn tail, and sets a journal aside that is damaged elsewhere. Each intent without an outcome gets one: what
   * became of it is not known, or of no matter after a reboot.
   */
  static async open(
    directory: string,
    bootId: string,
    nowMs: () => number,
  ): Promise<{ readonly journal: StepJournal; readonly aside: string | undefined }> {
    const file = join(directory, 'steps.jsonl');
    let handle = await open(file, 'a+', 0o600);
    const found = inspect(await handle.readFile());
    let aside: string | undefined;
    if (found.kind === 'damaged') {
      await handle.close();
      aside = await setAside(file, nowMs());
      handle = await open(file, 'a+', 0o600);
      await syncDirectory(dirname(file));
    }
    const size = found.kind === 'damaged' ? 0 : found.size;
    await handle.truncate(size);
    const journal = new StepJournal({ file, handle, size, bootId, nowMs });
    for (const { gpu, step, boot } of found.kind === 'damaged' ? [] : found.open)
      await journal.outcome(gpu, step, boot === bootId ? 'not known: the agent was ended in the middle' : 'void: the node was rebooted');
    return { journal, aside };
  }

  /** Durable when it returns. Throws where that cannot be had; nothing of it is left then. */
  intent(gpu: GpuUuid, step: string): Promise<void> {
    return this.#append({ gpu, step, intent: true });
  }

  outcome(gpu: GpuUuid, step: string, result: string): Promise<void> {
    return this.#append({ gpu, step, result });
  }

  /** Something that was done to a process, before it is done. */
  deed(facts: object): Promise<void> {
    return this.#append({ deed: facts });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }

  async #append(entry: object): Promise<void> {
    await this.#rotate();
    const line = Buffer.from(`${sealed({ atMs: this.#nowMs(), boot: this.#bootId, ...entry })}\n`);
    try {
      await this.#handle.appendFile(line);
      await this.#handle.datasync();
      this.#size += line.length;
    } catch (failure) {
      // The next line must not be glued to a part of this one.
      await this.#handle.truncate(this.#size).catch(() => undefined);
      throw failure;
    }
  }

  async #rotate(): Promise<void> {
    if (this.#size < bytesMax) return;
    await rename(this.#file, `${this.#file}.1`);
    const fresh = await open(this.#file, 'a+', 0o600);
    await this.#handle.close();
    this.#handle = fresh;
    this.#size = 0;
  }
}

type Inspection =
  | { readonly kind: 'damaged' }
  /** `size` is that of the whole lines at its beginning; only a torn last one may follow. */
  | { readonly kind: 'whole'; readonly size: number; readonly open: readonly OpenIntent[] };

function inspect(bytes: Buffer): Inspection {
  const open = new Map<string, OpenIntent>();
  let size = 0;
  while (size < bytes.length) {
    const end = bytes.indexOf(0x0a, size);
    const line = bytes.toString('utf8', size, end === -1 ? bytes.length : end);
    const record = end === -1 ? undefined : unsealed(line);
    // After a loss of power the last block may hold anything, a line's end too; a whole line behind it is another matter.
    if (record === undefined) return holdsWholeLine(bytes, end) ? { kind: 'damaged' } : { kind: 'whole', size, open: [...open.values()] };
    const { gpu, step, intent, result, boot } = record;
    if (typeof gpu === 'string' && typeof step === 'string' && typeof boot === 'string') {
      if (intent === true) open.set(`${gpu} ${step}`, { gpu: gpu as GpuUuid, step, boot });
      if (result !== undefined) open.delete(`${gpu} ${step}`);
    }
    size = end + 1;
  }
  return { kind: 'whole', size, open: [...open.values()] };
}

function holdsWholeLine(bytes: Buffer, from: number): boolean {
  if (from === -1) return false;
  return bytes
    .toString('utf8', from)
    .split('\n')
    .some((line) => unsealed(line) !== undefined);
}
