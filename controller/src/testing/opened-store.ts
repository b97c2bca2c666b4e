import Database from 'better-sqlite3';
import type { Change } from '#core/cluster/change';
import type { WorkloadRecord } from '#core/cluster/records';
import type { AuditEntry, Batch } from '../app/ports.ts';
import { SqliteStore } from '../store/sqlite-store.ts';
import { TemporaryDirectory } from './temporary-directory.ts';

/** A store in a directory of its own; further ones of the same file are closed with it. */
export class OpenedStore implements Disposable {
  readonly #directory = new TemporaryDirectory();
  readonly #opened: SqliteStore[] = [];
  readonly file = this.#directory.file('data', 'astrago.db');
  store = this.reopen();

  /** As another controller would; the one before stays open. */
  reopen(): SqliteStore {
    this.store = new SqliteStore(this.file);
    this.#opened.push(this.store);
    return this.store;
  }

  raw<T>(use: (database: Database.Database) => T): T {
    const database = new Database(this.file);
    try {
      return use(database);
    } finally {
      database.close();
    }
  }

  [Symbol.dispose](): void {
    for (const store of this.#opened) store.close();
    this.#directory[Symbol.dispose]();
  }
}

export function batch(changes: readonly Change[], more: Partial<Batch> = {}): Batch {
  return { changes, audit: [], idempotency: [], ...more };
}

export function auditEntry(subject: string): AuditEntry {
  return { actor: 'admin', action: 'submit', subject, detail: 'of a test', atMs: 1000 };
}

export function put(record: WorkloadRecord): Change {
  return { kind: 'workload', record };
}
