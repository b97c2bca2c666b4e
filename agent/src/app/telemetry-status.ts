// How collecting goes, apart from what was collected: metrics show it, so that "no data" has a reason.
import type { Clock } from '@astrago/shared/runtime/clock';

/**
 * `gpus` are the samples of GPUs, `devices` those of slices, `processes` who uses what, `inventory` the listing of GPUs
 * and slices, `host` the machine around them.
 */
export type CollectorName = 'gpus' | 'devices' | 'processes' | 'inventory' | 'host';

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

/** What the driver's side tells of itself. */
export interface TelemetryStatus {
  /** Long-running readers by a short name such as `query-gpu`; how often each was started again. */
  readonly readerRestarts: ReadonlyMap<string, number>;
  /** Commands since the start that did not end when killed. */
  readonly abandonedCommands: number;
  /** Fields that are asked for, by where they come from, such as `query-gpu` or `xml`. */
  readonly fields: readonly FieldSupport[];
}

export interface FieldSupport {
  readonly source: string;
  readonly field: string;
  readonly supported: boolean;
}

/** One MPS control daemon. */
export interface MpsDaemonStatus {
  /** A GPU or MIG UUID. */
  readonly device: string;
  readonly state: (typeof mpsDaemonStates)[number];
  /** Absent while the daemon does not tell. */
  readonly clientCount: number | undefined;
}

export const mpsDaemonStates = ['starting', 'ready', 'fault', 'failed', 'stopping'] as const;
