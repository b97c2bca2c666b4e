import { readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';

/**
 * Keeps a second agent off the same data directory. The lock is a socket name in the kernel, made of the directory's
 * own number: it is gone with its holder however that ends, so no lock is ever stale and none is taken over twice.
 * `agent.pid` only tells a person who holds it.
 */
export async function lockDirectory(directory: string): Promise<AsyncDisposable> {
  const pidFile = join(directory, 'agent.pid');
  const { dev, ino } = await stat(directory);
  const server = createServer((socket) => socket.destroy()).unref();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(`\0astrago-agent-${dev}-${ino}`, resolve);
  }).catch(async (cause: unknown) => {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE')) throw cause;
    const pid = (await readFile(pidFile, 'latin1').catch(() => '')).trim();
    throw new Error(
      `another agent${pid === '' ? '' : ` (process ${pid})`} works on ${directory}; stop it, or give this one a directory of its own`,
      { cause },
    );
  });
  await writeFile(pidFile, `${process.pid}\n`, { mode: 0o600 });
  return { [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())) };
}
