import { writeSync } from 'node:fs';
import { pause } from './pause.ts';

/** What one call prints. Kept back until the end, as faults may spoil it. */
export class Answer {
  #stdout = '';
  #stderr = '';

  print(line: string): void {
    this.#stdout += `${line}\n`;
  }

  complain(line: string, stream: 'stdout' | 'stderr'): void {
    if (stream === 'stdout') this.#stdout += `${line}\n`;
    else this.#stderr += `${line}\n`;
  }

  printRaw(text: string): void {
    this.#stdout += text;
  }

  complainRaw(text: string): void {
    this.#stderr += text;
  }

  /** What is waiting on standard output. */
  text(): string {
    return this.#stdout;
  }

  clear(): void {
    this.#stdout = '';
    this.#stderr = '';
  }

  /** Hands over what is waiting, changed by `spoil`. */
  flush(spoil: (text: string) => string, file: number): void {
    writeAll(file, spoil(this.#stdout));
    writeAll(2, this.#stderr);
    this.clear();
  }
}

/** The other end may be a slow, non-blocking pipe, or gone. */
function writeAll(file: number, text: string): void {
  const bytes = Buffer.from(text, 'utf8');
  let waitMs = 1;
  for (let offset = 0; offset < bytes.length; ) {
    try {
      offset += writeSync(file, bytes, offset);
      waitMs = 1;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      // As the shell reports an end by SIGPIPE, which Node ignores.
      if (code === 'EPIPE') process.exit(141);
      if (code !== 'EAGAIN') throw error;
      pause(waitMs);
      waitMs = Math.min(waitMs * 2, 50);
    }
  }
}
