import { stat } from 'node:fs/promises';
import { createServer } from 'node:net';

/**
 * Claims a directory for one program; `undefined` when another process has claimed it for the same. The claim is a socket
 * name in the kernel, made of the directory's own number: it is gone with its holder however that ends, so no claim is
 * ever stale and none is taken over twice. A process in another network namespace does not see it.
 */
export async function claimDirectory(directory: string, program: string): Promise<AsyncDisposable | undefined> {
  const { dev, ino } = await stat(directory);
  const server = createServer((socket) => socket.destroy()).unref();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(`\0astrago-${program}-${dev}-${ino}`, resolve);
    });
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE') return undefined;
    throw cause;
  }
  return { [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())) };
}
