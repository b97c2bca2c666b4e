// What every command is given.
import type { Client, ClientOptions } from '@astrago/api/client';
import type { Clock } from '@astrago/shared/runtime/clock';
import type { ClusterChoice } from './locate/locate-cluster.ts';
import type { Terminal } from './terminal.ts';

export interface CommandContext {
  readonly terminal: Terminal;
  /** One JSON document on standard output instead of text. */
  readonly json: boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly choice: ClusterChoice;
  readonly clock: Clock;
  /** Finds the cluster and its token. */
  connect(options?: Pick<ClientOptions, 'retryDelaysMs' | 'timeoutMs'>): Promise<Client>;
  /** From the first call on, Ctrl-C (and SIGTERM, SIGHUP) aborts this instead of ending the process. */
  interrupt(): AbortSignal;
}

/** Prints the document under --json and the text otherwise. */
export function answer(context: CommandContext, document: unknown, text: () => string): void {
  context.terminal.print(context.json ? JSON.stringify(document, undefined, 2) : text());
}
