import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/**
 * Runs `work` while no other process does, for one machine.
 *
 * The lock is a write transaction on an empty database: the kernel drops it
 * when its holder dies, at whatever instant, so there is no stale lock to find.
 */
export function withMachineLock<T>(directory: string, work: () => T): T {
  const database = new DatabaseSync(join(directory, 'lock.db'), { timeout: 60_000 });
  try {
    database.exec('BEGIN IMMEDIATE');
    return work();
  } finally {
    database.close();
  }
}
