import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { claimDirectory } from '@astrago/shared/runtime/directory-claim';

/** Keeps a second agent off the same data directory. `agent.pid` only tells a person who holds it. */
export async function lockDirectory(directory: string): Promise<AsyncDisposable> {
  const pidFile = join(directory, 'agent.pid');
  const claim = await claimDirectory(directory, 'agent');
  if (claim === undefined) {
    const pid = (await readFile(pidFile, 'latin1').catch(() => '')).trim();
    throw new Error(
      `another agent${pid === '' ? '' : ` (process ${pid})`} works on ${directory}; stop it, or give this one a directory of its own`,
    );
  }
  await writeFile(pidFile, `${process.pid}\n`, { mode: 0o600 });
  return claim;
}
