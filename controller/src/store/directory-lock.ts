import { chmodSync, mkdirSync, statSync } from 'node:fs';
import { createServer } from 'node:net';

/**
 * Keeps a second controller off the same data directory, and others out of it. The lock is a socket name in the kernel, made of the
 * directory's own number: it is gone with its holder however that ends, so no lock is ever stale. Where the holder
 * cannot be seen, in another container, the epoch in the store still lets only one of the two write.
 */
export async function lockDirectory(directory: string): Promise<AsyncDisposable> {
  mkdirSync(directory, { recursive: true });
  chmodSync(directory, 0o700);
  const { dev, ino } = statSync(directory);
  const server = createServer((socket) => socket.destroy()).unref();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(`\0astrago-controller-${dev}-${ino}`, resolve);
  }).catch((cause: unknown) => {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE')) throw cause;
    throw new Error(`another controller works on ${directory}; stop it, or give this one a directory of its own`, { cause });
  });
  return { [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())) };
}
