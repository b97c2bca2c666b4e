// What commands and loops need from the world. Adapters know this file and never each other.

import type { NodeName } from '@astrago/shared/domain/ids';
import type { Change } from '#core/cluster/change';
import type { PoolRecord, WorkloadRecord } from '#core/cluster/records';
import type { StoredRecords } from '#core/cluster/stored';
import type { Order, RefusalReason } from './desired-state.ts';

/** Who changed what; one row of the audit log each. */
export interface AuditEntry {
  readonly actor: string;
  readonly action: string;
  readonly subject: string;
  readonly detail: string;
  readonly atMs: number;
}

export interface IdempotencyRecord {
  readonly key: string;
  /** Of the request; the same key with another one is refused. */
  readonly fingerprint: string;
  readonly workload: string;
  readonly atMs: number;
}

/** What opens a door. The token itself is not kept. */
export interface TokenRecord {
  readonly kind: TokenKind;
  /** SHA-256, hex. */
  readonly hash: string;
  readonly atMs: number;
}

export type TokenKind = 'admin' | 'join';

export interface Batch {
  readonly changes: readonly Change[];
  readonly audit: readonly AuditEntry[];
  readonly idempotency: readonly IdempotencyRecord[];
  readonly tokens?: readonly TokenRecord[];
}

export interface LoadedState extends StoredRecords {
  readonly pools: readonly PoolRecord[];
  /** The highest ever given. */
  readonly sequence: number;
}

export interface WorkloadFilter {
  readonly workspace?: string | undefined;
  readonly phases?: readonly string[] | undefined;
  /** Only sequences below this. */
  readonly before?: number | undefined;
  readonly limit: number;
}

/** The store cannot take the change now. Nothing of it was kept. */
export class StoreUnavailable extends Error {
  override name = 'StoreUnavailable';
}

/** Another controller has taken over this data; this one must stop. */
export class LeadershipLost extends Error {
  override name = 'LeadershipLost';
}

/** The agent of a node does not answer now. */
export class AgentUnavailable extends Error {
  override name = 'AgentUnavailable';
  readonly node: NodeName;
  constructor(node: NodeName, facts: { readonly cause: unknown }) {
    super(`node ${node} does not answer`, facts);
    this.node = node;
  }
}

/** Truth on disk. Synchronous: a transaction is never held over an await. */
export interface Store {
  /** Grows with every controller that opened this store. */
  readonly epoch: number;
  load(): LoadedState;
  /** All of the batch durably, or nothing of it: {@link StoreUnavailable}, {@link LeadershipLost}. */
  commit(batch: Batch): void;
  /** Newest first; live and ended. */
  listWorkloads(filter: WorkloadFilter): readonly WorkloadRecord[];
  /** By id, or the newest of that name. */
  findWorkload(nameOrId: string, workspace: string | undefined): WorkloadRecord | undefined;
  findIdempotency(key: string): IdempotencyRecord | undefined;
  /** Of a row that says it was written; throws when not. */
  verifyWritable(): void;
  close(): void;
}

export type ApplyOutcome =
  | { readonly kind: 'accepted' }
  | {
      readonly kind: 'refused';
      readonly reason: RefusalReason;
      readonly detail: string;
      readonly epoch: number;
      readonly generation: number;
    };

/** The tokens that open a door, as hashes. */
export interface TokenStore extends Pick<Store, 'commit'> {
  tokenHashes(kind: TokenKind): readonly string[];
}

/** The agents, by node. Every call ends within its time or throws. */
export interface Agents {
  apply(node: NodeName, order: Order): Promise<ApplyOutcome>;
  logs(node: NodeName, allocation: string, follow: boolean, signal: AbortSignal): AsyncIterable<Uint8Array>;
}
