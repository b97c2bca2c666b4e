import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { type LineSource, linesMax } from './source.ts';

/** A record of `/dev/kmsg` is never longer; a shorter buffer is refused by the kernel. */
const recordBytes = 8192;

/** What is used of an open device. */
export interface RecordReader {
  read(buffer: Buffer, offset: number, length: number, position: null): Promise<{ readonly bytesRead: number }>;
  close(): Promise<void>;
}

/** `/dev/kmsg`: one read is one record, from the oldest that is kept; at the end a read would wait, and is told not to. */
export class DeviceSource implements LineSource {
  readonly #open: () => Promise<RecordReader>;
  readonly #buffer = Buffer.alloc(recordBytes);
  #handle: RecordReader | undefined;
  /** Of the last record read, after a reopening too. */
  #sequence = -1;

  constructor(path: string, openDevice: typeof openWithoutWaiting = openWithoutWaiting) {
    this.#open = () => openDevice(path);
  }

  async read(): Promise<{ readonly lines: readonly string[]; readonly lost: number; readonly more: boolean }> {
    this.#handle ??= await this.#open();
    const lines: string[] = [];
    let lost = 0;
    while (lines.length < linesMax) {
      try {
        const { bytesRead } = await this.#handle.read(this.#buffer, 0, recordBytes, null);
        if (bytesRead === 0) return { lines, lost, more: false };
        const line = this.#buffer.toString('utf8', 0, bytesRead);
        const sequence = Number(/^\d+,(\d+),/.exec(line)?.[1] ?? Number.NaN);
        if (sequence <= this.#sequence) continue;
        if (this.#sequence >= 0 && sequence > this.#sequence + 1) lost += sequence - this.#sequence - 1;
        if (!Number.isNaN(sequence)) this.#sequence = sequence;
        lines.push(line.split('\n', 1)[0] ?? '');
      } catch (failure) {
        const code = (failure as NodeJS.ErrnoException).code;
        if (code === 'EAGAIN') return { lines, lost, more: false };
        // Overwritten before it was read: the next read goes on with the oldest that is left.
        if (code === 'EPIPE') continue;
        await this[Symbol.asyncDispose]();
        throw failure;
      }
    }
    return { lines, lost, more: true };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close().catch(() => undefined);
  }
}

function openWithoutWaiting(path: string): Promise<RecordReader> {
  return open(path, constants.O_RDONLY | constants.O_NONBLOCK);
}
