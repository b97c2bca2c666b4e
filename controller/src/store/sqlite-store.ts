import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import type { Change } from '#core/cluster/change';
import type {
  AllocationRecord,
  LayoutRecord,
  NodeRecord,
  PoolRecord,
  ReservationRecord,
  WorkloadRecord,
  WorkspaceRecord,
} from '#core/cluster/records';
import {
  type AuditEntry,
  type Batch,
  type IdempotencyRecord,
  LeadershipLost,
  type LoadedState,
  type Store,
  StoreUnavailable,
  type TokenKind,
  type TokenStore,
  type WorkloadFilter,
} from '../app/ports.ts';
import { migrations } from './schema.ts';

/** What an audit row is chained with when it is the first. */
export const chainStart = '0'.repeat(64);

export function chainHash(previous: string, entry: AuditEntry): string {
  return createHash('sha256')
    .update(JSON.stringify([previous, entry.atMs, entry.actor, entry.action, entry.subject, entry.detail]))
    .digest('hex');
}

interface RecordRow {
  readonly record: string;
}

/**
 * One SQLite file in the data directory. Full synchronisation: what was committed survives a power cut.
 * Opening it takes the lead: the epoch in the file becomes ours, and a controller of an older one can commit no more.
 */
export class SqliteStore implements Store, TokenStore {
  readonly epoch: number;
  readonly #database: Database.Database;
  readonly #statements = new Map<string, Database.Statement>();
  #lastHash: string;

  constructor(file: string) {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    this.#database = new Database(file);
    chmodSync(file, 0o600);
    this.#database.pragma('journal_mode = WAL');
    this.#database.pragma('synchronous = FULL');
    this.#database.pragma('foreign_keys = ON');
    this.#database.pragma('busy_timeout = 2000');
    this.#migrate(file);
    this.epoch = this.#database
      .transaction(() => {
        this.#prepare('UPDATE lease SET epoch = epoch + 1').run();
        return (this.#prepare('SELECT epoch FROM lease').get() as { epoch: number }).epoch;
      })
      .immediate();
    this.#lastHash =
      (this.#prepare('SELECT hash FROM audit ORDER BY sequence DESC LIMIT 1').get() as { hash: string } | undefined)?.hash ?? chainStart;
  }

  load(): LoadedState {
    const records = <T>(sql: string): readonly T[] => (this.#prepare(sql).all() as RecordRow[]).map((row) => JSON.parse(row.record) as T);
    const top = this.#prepare('SELECT max(sequence) AS sequence FROM workloads').get() as { sequence: number | null };
    return {
      workloads: records<WorkloadRecord>(
        "SELECT record FROM workloads WHERE phase NOT IN ('succeeded', 'failed', 'cancelled') ORDER BY sequence",
      ),
      allocations: records<AllocationRecord>('SELECT record FROM allocations'),
      layouts: records<LayoutRecord>('SELECT record FROM layouts'),
      nodes: records<NodeRecord>('SELECT record FROM nodes'),
      workspaces: records<WorkspaceRecord>('SELECT record FROM workspaces'),
      reservations: records<ReservationRecord>('SELECT record FROM reservations'),
      pools: records<PoolRecord>('SELECT record FROM pools'),
      sequence: top.sequence ?? 0,
    };
  }

  commit(batch: Batch): void {
    const before = this.#lastHash;
    try {
      this.#database
        .transaction(() => {
          const lease = this.#prepare('SELECT epoch FROM lease').get() as { epoch: number };
          if (lease.epoch !== this.epoch) throw new LeadershipLost(`epoch ${lease.epoch} leads, not ${this.epoch}`);
          for (const change of batch.changes) this.#write(change);
          for (const entry of batch.audit) this.#append(entry);
          for (const record of batch.idempotency) {
            this.#prepare('INSERT INTO idempotency VALUES (?, ?, ?, ?)').run(record.key, record.fingerprint, record.workload, record.atMs);
          }
          for (const { kind, hash, atMs } of batch.tokens ?? []) {
            this.#prepare('DELETE FROM tokens WHERE kind = ?').run(kind);
            this.#prepare('INSERT INTO tokens VALUES (?, ?, ?)').run(hash, kind, atMs);
          }
        })
        .immediate();
    } catch (cause) {
      this.#lastHash = before;
      if (cause instanceof LeadershipLost) throw cause;
      throw new StoreUnavailable(cause instanceof Error ? cause.message : String(cause), { cause });
    }
  }

  listWorkloads(filter: WorkloadFilter): readonly WorkloadRecord[] {
    const conditions: string[] = [];
    const values: (string | number)[] = [];
    if (filter.workspace !== undefined) {
      conditions.push('workspace = ?');
      values.push(filter.workspace);
    }
    if (filter.phases !== undefined) {
      conditions.push(`phase IN (${filter.phases.map(() => '?').join(', ')})`);
      values.push(...filter.phases);
    }
    if (filter.before !== undefined) {
      conditions.push('sequence < ?');
      values.push(filter.before);
    }
    const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
    const rows = this.#prepare(`SELECT record FROM workloads ${where} ORDER BY sequence DESC LIMIT ?`).all(
      ...values,
      filter.limit,
    ) as RecordRow[];
    return rows.map((row) => JSON.parse(row.record) as WorkloadRecord);
  }

  findWorkload(nameOrId: string, workspace: string | undefined): WorkloadRecord | undefined {
    const row = (this.#prepare('SELECT record FROM workloads WHERE id = ?').get(nameOrId) ??
      (workspace === undefined
        ? this.#prepare('SELECT record FROM workloads WHERE name = ? ORDER BY sequence DESC LIMIT 1').get(nameOrId)
        : this.#prepare('SELECT record FROM workloads WHERE name = ? AND workspace = ? ORDER BY sequence DESC LIMIT 1').get(
            nameOrId,
            workspace,
          ))) as RecordRow | undefined;
    const record = row === undefined ? undefined : (JSON.parse(row.record) as WorkloadRecord);
    return record !== undefined && workspace !== undefined && record.workspace !== workspace ? undefined : record;
  }

  findIdempotency(key: string): IdempotencyRecord | undefined {
    const row = this.#prepare('SELECT key, fingerprint, workload, at_ms AS atMs FROM idempotency WHERE key = ?').get(key);
    return row as IdempotencyRecord | undefined;
  }

  tokenHashes(kind: TokenKind): readonly string[] {
    return this.#prepare('SELECT hash FROM tokens WHERE kind = ?').pluck().all(kind) as string[];
  }

  verifyWritable(): void {
    const written = this.#database
      .transaction(() => this.#prepare('UPDATE lease SET epoch = epoch WHERE epoch = ?').run(this.epoch))
      .immediate();
    if (written.changes === 0) throw new LeadershipLost(`epoch ${this.epoch} does not lead any more`);
  }

  /** The sequence of the first audit row that does not follow from the one before it, or is missing at the end; `undefined` when all is there. */
  firstBrokenAuditRow(): number | undefined {
    let previous = chainStart;
    let last = 0;
    for (const row of this.#prepare(
      'SELECT sequence, at_ms AS atMs, actor, action, subject, detail, hash FROM audit ORDER BY sequence',
    ).iterate()) {
      const entry = row as AuditEntry & { readonly sequence: number; readonly hash: string };
      if (chainHash(previous, entry) !== entry.hash) return entry.sequence;
      previous = entry.hash;
      last = entry.sequence;
    }
    // A number that was given and is not there: the end was cut off, which leaves the rest of the chain whole.
    const given = (this.#prepare("SELECT seq FROM sqlite_sequence WHERE name = 'audit'").pluck().get() ?? 0) as number;
    return given > last ? last + 1 : undefined;
  }

  close(): void {
    this.#database.close();
  }

  #migrate(file: string): void {
    const version = this.#database.pragma('user_version', { simple: true }) as number;
    if (version > migrations.length) {
      throw new Error(
        `${file} was written by a later version (schema ${version}, this one knows ${migrations.length}); start that version, or restore a backup of before`,
      );
    }
    for (const [index, migration] of migrations.entries()) {
      if (index < version) continue;
      this.#database
        .transaction(() => {
          this.#database.exec(migration);
          this.#database.pragma(`user_version = ${index + 1}`);
        })
        .immediate();
    }
  }

  #write(change: Change): void {
    switch (change.kind) {
      case 'workload': {
        const { id, name, workspace, phase, sequence } = change.record;
        this.#prepare(
          'INSERT INTO workloads VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET phase = excluded.phase, record = excluded.record',
        ).run(id, name, workspace, phase, sequence, JSON.stringify(change.record));
        return;
      }
      case 'allocation':
        this.#prepare('INSERT OR REPLACE INTO allocations VALUES (?, ?, ?)').run(
          change.record.id,
          change.record.node,
          JSON.stringify(change.record),
        );
        return;
      case 'allocation-released':
        this.#prepare('DELETE FROM allocations WHERE id = ?').run(change.id);
        return;
      case 'layout':
        this.#prepare('INSERT OR REPLACE INTO layouts VALUES (?, ?, ?)').run(
          change.record.gpu,
          change.record.node,
          JSON.stringify(change.record),
        );
        return;
      case 'layout-forgotten':
        this.#prepare('DELETE FROM layouts WHERE gpu = ?').run(change.gpu);
        return;
      case 'node':
        this.#prepare('INSERT OR REPLACE INTO nodes VALUES (?, ?)').run(change.record.name, JSON.stringify(change.record));
        return;
      case 'workspace':
        this.#prepare('INSERT OR REPLACE INTO workspaces VALUES (?, ?)').run(change.record.name, JSON.stringify(change.record));
        return;
      case 'reservation':
        this.#prepare('INSERT OR REPLACE INTO reservations VALUES (?, ?)').run(change.record.name, JSON.stringify(change.record));
        return;
      case 'reservation-cancelled':
        this.#prepare('DELETE FROM reservations WHERE name = ?').run(change.name);
        return;
      case 'pool':
        this.#prepare('INSERT OR REPLACE INTO pools VALUES (?, ?)').run(change.record.model, JSON.stringify(change.record));
        return;
      default:
        change satisfies never;
    }
  }

  #append(entry: AuditEntry): void {
    const hash = chainHash(this.#lastHash, entry);
    this.#prepare('INSERT INTO audit (at_ms, actor, action, subject, detail, hash) VALUES (?, ?, ?, ?, ?, ?)').run(
      entry.atMs,
      entry.actor,
      entry.action,
      entry.subject,
      entry.detail,
      hash,
    );
    this.#lastHash = hash;
  }

  #prepare(sql: string): Database.Statement {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const made = this.#database.prepare(sql);
    this.#statements.set(sql, made);
    return made;
  }
}
