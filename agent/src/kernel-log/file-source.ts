import { type FileHandle, open } from 'node:fs/promises';
import { type LineSource, linesMax } from './source.ts';

const chunkBytes = 64 * 1024;
/** Of a file that is longer at the first look, only the end is read. */
const firstLookBytes = 4 * 1024 * 1024;
/** A line that does not end by then is not one of a kernel log. */
const lineMax = 16 * 1024;

/** A file that others append to, also one that is cut to nothing or put aside for a new one. Opened anew at each look. */
export class FileSource implements LineSource {
  readonly #path: string;
  #inode: number | undefined;
  #offset = 0;
  /** The beginning of a line whose end is not written yet. */
  #partial = '';
  #skipsPartial = false;

  constructor(path: string) {
    this.#path = path;
  }

  async read(): Promise<{ readonly lines: readonly string[]; readonly lost: number; readonly more: boolean }> {
    await using handle = await open(this.#path, 'r');
    const { ino, size } = await handle.stat();
    if (this.#inode === undefined && size > firstLookBytes) {
      this.#offset = size - firstLookBytes;
      this.#skipsPartial = true;
    } else if (this.#inode !== undefined && (ino !== this.#inode || size < this.#offset)) this.#begin();
    this.#inode = ino;
    // Awaited here: the file is closed on the way out.
    return await this.#readFrom(handle);
  }

  #begin(): void {
    this.#offset = 0;
    this.#partial = '';
    this.#skipsPartial = false;
  }

  async #readFrom(handle: FileHandle): Promise<{ readonly lines: readonly string[]; readonly lost: number; readonly more: boolean }> {
    const lines: string[] = [];
    const buffer = Buffer.alloc(chunkBytes);
    while (lines.length < linesMax) {
      const { bytesRead } = await handle.read(buffer, 0, chunkBytes, this.#offset);
      if (bytesRead === 0) return { lines, lost: 0, more: false };
      this.#offset += bytesRead;
      // Logs are ASCII; a letter that falls on the seam of two chunks is not what anybody looks for.
      const parts = (this.#partial + buffer.toString('latin1', 0, bytesRead)).split('\n');
      this.#partial = parts.pop() ?? '';
      if (parts.length > 0 && this.#skipsPartial) {
        parts.shift();
        this.#skipsPartial = false;
      }
      for (const line of parts) lines.push(line.slice(0, lineMax));
      if (this.#partial.length > lineMax) {
        this.#partial = '';
        this.#skipsPartial = true;
      }
    }
    return { lines, lost: 0, more: true };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nothing is kept open between looks.
  }
}
