// The output of an allocation: a file that grows at its end, and whose head is given back to the disk.
import { type FileHandle, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import type { Output, OutputPiece } from '../app/ports.ts';
import { writeDurably } from '../files/write-durably.ts';

const pieceBytes = 64 * 1024;
/** So far is looked for the end of the line that a cut falls into; a longer line is cut. */
const lineMaxBytes = 64 * 1024;

/** Gives the first `length` bytes of a file back to the disk, without moving what follows; throws where that cannot be. */
export type PunchHole = (file: string, length: number) => Promise<void>;

/** What is kept begins here. Beside the file, so that it is known to every agent and goes where the file goes. */
export function startMark(file: string): string {
  return `${file}.start`;
}

/**
 * Gives up the older half of what is more than `bytesMax`, at the end of a line. What stays keeps its place: a reader's
 * offset stays true, and a writer, who only ever appends, notices nothing and loses nothing. Where the cut is is told
 * before it is made, so that nobody takes the zeros of a hole for output.
 *
 * @returns whether something was given up.
 */
export async function trimOutput(file: string, bytesMax: number, punchHole: PunchHole): Promise<boolean> {
  const found = await stat(file).catch(() => undefined);
  if (found === undefined) return false;
  const start = await startOf(file, found.size);
  if (found.size - start <= bytesMax) return false;
  if (start === 0) await tryHole(file, punchHole);
  const next = await lineAfter(file, found.size - Math.floor(bytesMax / 2));
  await writeDurably(startMark(file), String(next));
  await punchHole(file, next);
  return true;
}

/** Nothing is called given up where nothing can be: no tool, or a file system that knows no holes. */
async function tryHole(file: string, punchHole: PunchHole): Promise<void> {
  const trial = `${file}.trial`;
  try {
    await writeFile(trial, '\n');
    await punchHole(trial, 1);
  } finally {
    await rm(trial, { force: true });
  }
}

/**
 * `undefined` when there is none of the files.
 *
 * @param files where the output is, and where it goes when its allocation is forgotten: that may happen at any moment,
 *   also between this answer and the reading.
 */
export async function readFrom(files: readonly string[], offset: number): Promise<Output | undefined> {
  for (const file of files) {
    const found = await stat(file).catch(() => undefined);
    if (found !== undefined) return { size: found.size, read: (end) => pieces(files, offset, end) };
  }
  return undefined;
}

async function* pieces(files: readonly string[], offset: number, end: number): AsyncGenerator<OutputPiece, void, undefined> {
  const handle = await openFirst(files);
  try {
    let start = await startOfAny(files, handle);
    for (let at = Math.max(offset, start); at < end; ) {
      const bytes = await readAt(handle, at, Math.min(pieceBytes, end - at));
      if (bytes.length === 0) return;
      // A cut that was made while this was read was told before: what lies before it may be zeros.
      start = Math.max(start, await startOfAny(files, handle));
      const cut = Math.min(bytes.length, Math.max(0, start - at));
      if (cut < bytes.length) yield { offset: at + cut, bytes: bytes.subarray(cut) };
      at = Math.max(at + bytes.length, start);
    }
  } finally {
    await handle.close();
  }
}

async function openFirst(files: readonly string[]): Promise<FileHandle> {
  for (const file of files) {
    const handle = await open(file, 'r').catch(() => undefined);
    if (handle !== undefined) return handle;
  }
  // Silence would pass for an empty output.
  throw new Error(`the output ${files.join(', ')} is gone`);
}

async function startOfAny(files: readonly string[], handle: FileHandle): Promise<number> {
  const { size } = await handle.stat();
  return Math.max(...(await Promise.all(files.map((file) => startOf(file, size)))));
}

/** A command may have emptied its own output: then what is there is all there is. */
async function startOf(file: string, size: number): Promise<number> {
  const start = Number(await readFile(startMark(file), 'latin1').catch(() => '0'));
  return Number.isSafeInteger(start) && start > 0 && start <= size ? start : 0;
}

async function lineAfter(file: string, offset: number): Promise<number> {
  const handle = await open(file, 'r');
  try {
    const lineEnd = (await readAt(handle, offset, lineMaxBytes)).indexOf(0x0a);
    return lineEnd === -1 ? offset : offset + lineEnd + 1;
  } finally {
    await handle.close();
  }
}

async function readAt(handle: FileHandle, offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const { buffer, bytesRead } = await handle.read(new Uint8Array(length), 0, length, offset);
  return buffer.subarray(0, bytesRead);
}
