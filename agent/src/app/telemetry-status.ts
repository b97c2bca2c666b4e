// How collecting goes, apart from what was collected: metrics show it, so that "no data" has a reason.
import type { Clock } from '@astrago/shared/runtime/clock';

/**
 * `gpus` are the samples of GPUs, `devices` those of slices and the processes, `inventory` the listing of GPUs and slices,
 * `host` the machine around them.
 */
export type CollectorName = 'gpus' | 'devices' | 'inventory' | 'host';

export interface CollectorStatus {
  /** Of the latest attempt. */
  readonly succeeded: boolean;
  /** Wall clock, ms since the epoch; absent before the first success. */
  readonly succeededAtMs: number | undefined;
  /** How long the latest attempt took. */
  readonly durationMs: number;
}

/** The latest attempt of each collector. */
export class Collectors {
  readonly #status = new Map<CollectorName, CollectorStatus>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  record(name: CollectorName, attempt: { readonly succeeded: boolean; readonly durationMs: number }): void {
    const succeededAtMs = attempt.succeeded ? this.#clock.nowMs() : this.#status.get(name)?.succeededAtMs;
    this.#status.set(name, { ...attempt, succeededAtMs });
  }

  /** Runs one attempt and records how it went; what it throws is thrown on. */
  async watch<T>(name: CollectorName, attempt: () => Promise<T>): Promise<T> {
    const startMs = this.#clock.elapsedMs();
    let succeeded = false;
    try {
      const result = await attempt();
      succeeded = true;
      return result;
    } finally {
      this.record(name, { succeeded, durationMs: this.#clock.elapsedMs() - startMs });
    }
  }

  /** Those that have tried at least once. */
  get all(): ReadonlyMap<CollectorName, CollectorStatus> {
    return this.#status;
  }
}

export const readerStates = ['starting', 'running', 'backing-off', 'paused', 'stuck', 'falling-back'] as const;

/** One long-running reader of the driver. */
export interface ReaderHealth {
  readonly state: (typeof readerStates)[number];
  /** Starts after an end that nobody asked for. */
  readonly restarts: number;
  /** Processes of it that could not be killed and are still there. */
  readonly abandoned: number;
  /** Wall clock, ms since the epoch; absent before the first time. */
  readonly lastSuccessAtMs: number | undefined;
  /** Of the last failure since the last success. */
  readonly lastError: string | undefined;
}

/** How the readers do, and what this driver can tell them. */
export interface TelemetryHealth {
  readonly gpus: ReaderHealth;
  /** Of slices and processes. */
  readonly details: ReaderHealth;
  /** Empty before the driver was asked. */
  readonly fields: readonly { readonly field: string; readonly source: string; readonly supported: boolean }[];
}
