import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type ArchivedFile, ustar } from './ustar.ts';

/**
 * Writes to `target`: a directory where the name ends in a slash, an archive otherwise, compressed where it ends in `gz`.
 * Nothing that is there is overwritten, and only its owner may read it. Throws with a sentence for the person who named it.
 */
export async function writeBundle(files: readonly ArchivedFile[], target: string, nowMs: number): Promise<void> {
  if (target.endsWith('/')) {
    if ((await readdir(target).catch(() => [])).length > 0) throw new Error(`${target} is not empty; name another directory`);
    for (const { path, content } of files) {
      await mkdir(join(target, dirname(path)), { recursive: true, mode: 0o700 });
      await writeFile(join(target, path), content, { mode: 0o600, flag: 'wx' });
    }
    return;
  }
  const archive = ustar(files, nowMs);
  try {
    await writeFile(target, /\.t?gz$/.test(target) ? gzipSync(archive) : archive, { mode: 0o600, flag: 'wx' });
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    if (code === 'EEXIST') throw new Error(`${target} is there already; name another file`, { cause });
    // A full disk must not be kept full by what could not be written.
    if (code === 'ENOSPC' || code === 'EIO') await rm(target, { force: true }).catch(() => undefined);
    if (code === 'EISDIR') throw new Error(`${target} is a directory; end its name in a slash to write there`, { cause });
    throw new Error(`${target} cannot be written: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}
