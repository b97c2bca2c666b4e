import type { Client } from '@astrago/api/client';
import type { Clock } from '@astrago/shared/runtime/clock';

/** Asks for an audit every few seconds while a trace runs, and keeps what it found, each finding once. */
export class AuditRounds {
  rounds = 0;
  readonly #findings = new Set<string>();
  readonly #client: Client;
  readonly #clock: Clock;

  constructor(client: Client, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
  }

  get findings(): string[] {
    return [...this.#findings];
  }

  async once(): Promise<void> {
    const found = await this.#client.auditInvariants();
    this.rounds += 1;
    for (const finding of found.findings) this.#findings.add(`${finding.invariant}: ${finding.text}`);
  }

  async run(periodMs: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.once();
      await this.#clock.sleep(periodMs, signal);
    }
  }
}
