import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { claimDirectory } from '@astrago/shared/runtime/directory-claim';

const prefix = 'astrago-standalone-';
/** A younger one may belong to an agent that has not claimed it yet. */
const youthMs = 60_000;

export interface StandaloneDirectory extends AsyncDisposable {
  readonly path: string;
}

/** A fresh directory that goes with its holder. What agents that were killed have left is removed first. */
export async function standaloneDirectory(nowMs: number, place = tmpdir()): Promise<StandaloneDirectory> {
  await sweep(place, nowMs);
  const path = await mkdtemp(join(place, prefix));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 5 }) };
}

async function sweep(place: string, nowMs: number): Promise<void> {
  const names = await readdir(place).catch(() => []);
  for (const name of names.filter((one) => one.startsWith(prefix))) {
    const path = join(place, name);
    try {
      const found = await stat(path);
      if (!found.isDirectory() || found.uid !== process.getuid?.() || nowMs - found.mtimeMs < youthMs) continue;
      const claim = await claimDirectory(path, 'agent');
      if (claim === undefined) continue;
      await rm(path, { recursive: true, force: true });
      await claim[Symbol.asyncDispose]();
    } catch {
      // Gone meanwhile, or not ours to remove; it keeps nobody from starting.
    }
  }
}
