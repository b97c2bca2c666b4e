// Forward only. A migration that was released is never edited; the next one mends it.
export const migrations: readonly string[] = [
  `
  CREATE TABLE lease (id INTEGER PRIMARY KEY CHECK (id = 1), epoch INTEGER NOT NULL) STRICT;
  INSERT INTO lease VALUES (1, 0);
  CREATE TABLE workloads (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, workspace TEXT NOT NULL, phase TEXT NOT NULL,
    sequence INTEGER NOT NULL UNIQUE, record TEXT NOT NULL
  ) STRICT;
  CREATE INDEX workloads_by_name ON workloads (name, sequence);
  CREATE INDEX workloads_by_phase ON workloads (phase, sequence);
  CREATE INDEX workloads_by_workspace ON workloads (workspace, sequence);
  CREATE TABLE allocations (id TEXT PRIMARY KEY, node TEXT NOT NULL, record TEXT NOT NULL) STRICT;
  CREATE TABLE layouts (gpu TEXT PRIMARY KEY, node TEXT NOT NULL, record TEXT NOT NULL) STRICT;
  CREATE TABLE nodes (name TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT;
  CREATE TABLE workspaces (name TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT;
  CREATE TABLE idempotency (key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, workload TEXT NOT NULL, at_ms INTEGER NOT NULL) STRICT;
  CREATE TABLE audit (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
    subject TEXT NOT NULL, detail TEXT NOT NULL, hash TEXT NOT NULL
  ) STRICT;
  CREATE TRIGGER audit_is_append_only BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
  CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
  `,
  `
  CREATE TABLE tokens (
    hash TEXT PRIMARY KEY, kind TEXT NOT NULL CHECK (kind IN ('admin', 'join')), at_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX workloads_live ON workloads (sequence) WHERE phase NOT IN ('succeeded', 'failed', 'cancelled');
  `,
  'CREATE TABLE reservations (name TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT, WITHOUT ROWID;',
  'CREATE TABLE pools (model TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT, WITHOUT ROWID;',
];
