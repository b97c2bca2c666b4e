import { stat } from 'node:fs/promises';
import type { DatedKernelNote, KernelLog } from '../app/health-ports.ts';
import { DeviceSource } from './device-source.ts';
import { FileSource } from './file-source.ts';
import { parseNote } from './parse-note.ts';
import { type KernelRecord, parseRecord } from './parse-record.ts';
import type { LineSource } from './source.ts';

export interface KernelLogOptions {
  /** `/dev/kmsg`, or a file with lines of its kind. */
  readonly path: string;
  /** How long this machine is up, ms. */
  readonly uptimeMs: () => number;
}

/** Where reading needs a right that the agent lacks, this is the one it needs. */
const hints: Readonly<Record<string, string>> = {
  EPERM: 'give the agent CAP_SYSLOG, or set kernel.dmesg_restrict to 0',
  EACCES: 'let the agent read it',
  ENOENT: 'it is not there; in a container it has to be passed in',
};

/** Xids are read from here and nowhere else. Without it the agent works on and cannot see them. */
export function openKernelLog(options: KernelLogOptions): KernelLog {
  return new ReadKernelLog(options);
}

class ReadKernelLog implements KernelLog {
  readonly #options: KernelLogOptions;
  #source: LineSource | undefined;
  #lost = 0;
  /** Until the end was reached once, lines may be old. What was not there at the first look is new when it comes. */
  #catchesUp = true;

  constructor(options: KernelLogOptions) {
    this.#options = options;
  }

  async take(): ReturnType<KernelLog['take']> {
    try {
      this.#source ??= await sourceAt(this.#options.path);
      const { lines, lost, more } = await this.#source.read();
      this.#lost += lost;
      const notes = lines.flatMap((line) => this.#notesIn(line));
      if (!more) this.#catchesUp = false;
      return { status: { kind: 'readable', lostRecords: this.#lost }, notes, more };
    } catch (failure) {
      this.#catchesUp = false;
      return { status: { kind: 'unreadable', detail: this.#whyNot(failure) }, notes: [], more: false };
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#source?.[Symbol.asyncDispose]();
  }

  #notesIn(line: string): readonly DatedKernelNote[] {
    const record = parseRecord(line);
    const ageMs = record === undefined ? undefined : this.#ageMs(record);
    return record === undefined || ageMs === undefined ? [] : parseNote(record.text).map((note) => ({ ...note, ageMs }));
  }

  /** An old line that does not say when it was logged may be of any boot: it is left out. */
  #ageMs({ sinceBootUs }: KernelRecord): number | undefined {
    if (!this.#catchesUp) return 0;
    return sinceBootUs === undefined ? undefined : Math.max(0, this.#options.uptimeMs() - sinceBootUs / 1000);
  }

  #whyNot(failure: unknown): string {
    const { code = '', message } = failure as NodeJS.ErrnoException;
    const hint = hints[code];
    return `${this.#options.path} cannot be read${code === '' ? `: ${message}` : ` (${code})`}${hint === undefined ? '' : `: ${hint}`}`;
  }
}

async function sourceAt(path: string): Promise<LineSource> {
  const found = await stat(path);
  if (found.isCharacterDevice()) return new DeviceSource(path);
  if (found.isFile()) return new FileSource(path);
  // Opening a pipe would wait for a writer.
  throw new Error('it is neither a device nor a file');
}
