// All that the doctor sees of a machine. Nothing here changes anything.
import type { GpuDriver } from '../app/ports.ts';
import type { TopologyTable } from '../app/topology.ts';

export interface Surroundings {
  readonly settings: {
    readonly nvidiaSmi: string;
    /** Absent for a machine whose agent stands alone. */
    readonly dataDirectory: string | undefined;
    readonly joinAddress: string | undefined;
    readonly controllerAddress: string | undefined;
    readonly metricsBind: string;
    /** Path or name. */
    readonly mpsControl: string;
    readonly kernelLog: string;
    /** Under which each device has a directory for the socket of its MPS daemon; absent: chosen when the agent starts. */
    readonly mpsDirectory: string | undefined;
    /** Where programs are searched, as in `PATH`. */
    readonly path: string;
  };
  /** One read-only command, ended at the latest after a limit. */
  readonly smi: (args: readonly string[]) => Promise<SmiAnswer>;
  readonly driver: Pick<GpuDriver, 'observe'> & TopologyTable;
  readonly files: Files;
  readonly network: Network;
  readonly ledger: (directory: string) => Promise<LedgerState>;
  /** Other programs that manage MIG here, each in a few words. */
  readonly migManagers: () => Promise<readonly string[]>;
  readonly process: { readonly nodeVersion: string; readonly uid: number | undefined };
  readonly nowMs: () => number;
}

export type SmiAnswer =
  | { readonly kind: 'ended'; readonly exitCode: number | undefined; readonly stdout: string; readonly stderr: string; readonly ms: number }
  | { readonly kind: 'not-started'; readonly reason: string }
  /** Given up, for it took too long or printed too much. */
  | { readonly kind: 'given-up'; readonly ms: number };

export type Entry =
  | { readonly kind: 'absent' }
  /** It may be there; this user cannot tell. */
  | { readonly kind: 'hidden' }
  | { readonly kind: 'there'; readonly mode: number; readonly uid: number; readonly directory: boolean };

/** Paths are absolute ones of the examined machine. */
export interface Files {
  look(path: string): Promise<Entry>;
  /** `undefined` for what is absent or cannot be read. */
  readText(path: string): Promise<string | undefined>;
  /** Names in a directory; none for what is absent or cannot be read. */
  list(path: string): Promise<readonly string[]>;
  /** Where a symbolic link leads. */
  link(path: string): Promise<string | undefined>;
  may(path: string, access: 'read' | 'write' | 'read-write' | 'execute'): Promise<boolean>;
  /** Whether opening it for reading works, which for some devices is more than a matter of its mode. */
  opens(path: string): Promise<boolean>;
  freeBytes(path: string): Promise<number | undefined>;
}

export type Handshake =
  /** `dateMs` is the other side's clock, where it was told. */
  | { readonly kind: 'trusted' | 'untried'; readonly dateMs: number | undefined }
  | { readonly kind: 'distrusted'; readonly reason: string }
  | { readonly kind: 'unreachable'; readonly reason: string };

export interface Network {
  /** TCP and TLS to host:port; `untried` is a peer whose certificate there is nothing to check against. */
  greet(address: string, credentials: PemFiles | undefined): Promise<Handshake>;
  /** Whether host:port could be listened on, and if not, whether an agent is what listens. */
  listens(address: string): Promise<'free' | 'agent' | 'other' | { readonly refused: string }>;
}

export interface PemFiles {
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly authorityPem: string;
}

export type LedgerState =
  | { readonly kind: 'empty' }
  | { readonly kind: 'readable'; readonly text: string }
  /** An agent has found damage, and gone on without. */
  | { readonly kind: 'mended'; readonly text: string }
  | { readonly kind: 'damaged'; readonly text: string };
