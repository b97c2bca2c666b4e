import { chmodSync, mkdirSync } from 'node:fs';
import { claimDirectory } from '@astrago/shared/runtime/directory-claim';

/**
 * Keeps a second controller off the same data directory, and others out of it. Where the holder cannot be seen, in
 * another container, the epoch in the store still lets only one of the two write.
 */
export async function lockDirectory(directory: string): Promise<AsyncDisposable> {
  mkdirSync(directory, { recursive: true });
  chmodSync(directory, 0o700);
  const claim = await claimDirectory(directory, 'controller');
  if (claim === undefined) throw new Error(`another controller works on ${directory}; stop it, or give this one a directory of its own`);
  return claim;
}
