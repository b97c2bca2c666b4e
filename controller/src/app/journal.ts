import type { Change } from '#core/cluster/change';
import type { Cluster } from '#core/cluster/cluster';
import { type AuditEntry, type IdempotencyRecord, LeadershipLost, type Store } from './ports.ts';

/** What a command may do inside the journal: read the cluster, and change it by durable changes. */
export interface Draft {
  readonly cluster: Cluster;
  apply(change: Change): void;
  audit(action: string, subject: string, detail?: string): void;
  remember(record: IdempotencyRecord): void;
  /** What a command of the same transaction remembers under the key; the store does not have it yet. */
  recall(key: string): IdempotencyRecord | undefined;
}

export interface CommitSample {
  readonly commands: number;
  readonly changes: number;
  readonly ms: number;
}

interface Pending {
  readonly actor: string;
  readonly run: (draft: Draft) => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (failure: unknown) => void;
}

/**
 * The one way durable state changes. Commands that wait are run together, one after the other on the cluster in memory,
 * and written in one transaction; only then are their callers answered. A command that throws is undone alone; a
 * transaction that fails undoes them all. All of it happens in one go of the event loop, so nobody sees a half.
 */
export class Journal {
  readonly #cluster: Cluster;
  readonly #store: Store;
  readonly #nowMs: () => number;
  readonly #onCommitted: (changes: readonly Change[]) => void;
  readonly #onLeadershipLost: (failure: LeadershipLost) => void;
  readonly #onSample: (sample: CommitSample) => void;
  #pending: Pending[] = [];

  constructor(deps: {
    readonly cluster: Cluster;
    readonly store: Store;
    readonly nowMs: () => number;
    readonly onCommitted: (changes: readonly Change[]) => void;
    readonly onLeadershipLost: (failure: LeadershipLost) => void;
    readonly onSample?: (sample: CommitSample) => void;
  }) {
    this.#cluster = deps.cluster;
    this.#store = deps.store;
    this.#nowMs = deps.nowMs;
    this.#onCommitted = deps.onCommitted;
    this.#onLeadershipLost = deps.onLeadershipLost;
    this.#onSample = deps.onSample ?? (() => undefined);
  }

  /** Runs `command` and resolves with what it returned once that is on disk; rejects with what it threw. */
  commit<T>(actor: string, command: (draft: Draft) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#pending.length === 0) setImmediate(() => this.#flush());
      this.#pending.push({ actor, run: command, resolve: resolve as (value: unknown) => void, reject });
    });
  }

  #flush(): void {
    const batch = this.#pending;
    this.#pending = [];
    const startMs = performance.now();
    const start = this.#cluster.mark();
    const changes: Change[] = [];
    const audit: AuditEntry[] = [];
    const idempotency: IdempotencyRecord[] = [];
    const done: { readonly pending: Pending; readonly value: unknown }[] = [];
    for (const pending of batch) {
      const mark = this.#cluster.mark();
      const own = { changes: [] as Change[], audit: [] as AuditEntry[], idempotency: [] as IdempotencyRecord[] };
      try {
        done.push({ pending, value: pending.run(this.#draft(pending.actor, own, idempotency)) });
        changes.push(...own.changes);
        audit.push(...own.audit);
        idempotency.push(...own.idempotency);
      } catch (failure) {
        this.#cluster.undoTo(mark);
        pending.reject(failure);
      }
    }
    const writes = changes.length > 0 || audit.length > 0 || idempotency.length > 0;
    try {
      if (writes) this.#store.commit({ changes, audit, idempotency });
    } catch (failure) {
      this.#cluster.undoTo(start);
      for (const { pending } of done) pending.reject(failure);
      if (failure instanceof LeadershipLost) this.#onLeadershipLost(failure);
      return;
    }
    this.#cluster.keep();
    for (const { pending, value } of done) pending.resolve(value);
    // A turn that only looked is no commit.
    if (writes) this.#onSample({ commands: batch.length, changes: changes.length, ms: performance.now() - startMs });
    if (changes.length > 0) this.#onCommitted(changes);
  }

  #draft(
    actor: string,
    own: { changes: Change[]; audit: AuditEntry[]; idempotency: IdempotencyRecord[] },
    before: readonly IdempotencyRecord[],
  ): Draft {
    return {
      cluster: this.#cluster,
      apply: (change) => {
        this.#cluster.apply(change);
        own.changes.push(change);
      },
      audit: (action, subject, detail = '') => own.audit.push({ actor, action, subject, detail, atMs: this.#nowMs() }),
      remember: (record) => own.idempotency.push(record),
      recall: (key) => before.find((record) => record.key === key),
    };
  }
}
