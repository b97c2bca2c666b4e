// The archive format that every tar reads (POSIX.1-1988): a block of facts, then the content in blocks of 512 bytes.

export interface ArchivedFile {
  /** Relative, with slashes, 99 bytes at most. */
  readonly path: string;
  readonly content: string;
}

const blockBytes = 512;

/** All files as one archive; `mtimeMs` is said to be the age of all of them. */
export function ustar(files: readonly ArchivedFile[], mtimeMs: number): Buffer {
  const blocks = files.flatMap(({ path, content }) => {
    const bytes = Buffer.from(content, 'utf8');
    const padding = Buffer.alloc((blockBytes - (bytes.length % blockBytes)) % blockBytes);
    return [header(path, bytes.length, mtimeMs), bytes, padding];
  });
  return Buffer.concat([...blocks, Buffer.alloc(2 * blockBytes)]);
}

function header(path: string, size: number, mtimeMs: number): Buffer {
  const block = Buffer.alloc(blockBytes);
  if (Buffer.byteLength(path) > 99) throw new Error(`${path} is too long a name for the archive`);
  const octal = (value: number, width: number): string => Math.floor(value).toString(8).padStart(width, '0');
  block.write(path, 0);
  block.write(octal(0o600, 7), 100);
  block.write(octal(0, 7), 108);
  block.write(octal(0, 7), 116);
  block.write(octal(size, 11), 124);
  block.write(octal(mtimeMs / 1000, 11), 136);
  // The sum is taken with blanks in its own place.
  block.write(' '.repeat(8), 148);
  block.write('0', 156);
  block.write('ustar\0', 257);
  block.write('00', 263);
  block.write(
    `${octal(
      block.reduce((sum, byte) => sum + byte, 0),
      6,
    )}\0 `,
    148,
  );
  return block;
}
