// The machine around the GPUs: processors, memory, disks, network. On a loop of its own; nothing waits for it.
import type { Clock } from '@astrago/shared/runtime/clock';
import { Latest } from '@astrago/shared/runtime/latest';
import { Loop } from '@astrago/shared/runtime/loop';
import type { Collectors } from './telemetry-status.ts';

/** A part that was not measured this time is absent. Counters grow since boot. */
export interface HostFacts {
  readonly processors?: {
    readonly count: number;
    /** Summed over all processors. */
    readonly seconds: Readonly<Record<'user' | 'nice' | 'system' | 'idle' | 'irq', number>>;
    /** Runnable and blocked tasks, averaged over 1, 5 and 15 minutes. */
    readonly load: readonly [number, number, number];
  };
  readonly memory?: {
    readonly totalBytes: number;
    /** What new work may take without swapping, by the kernel's estimate. */
    readonly availableBytes: number;
    readonly swapTotalBytes: number;
    readonly swapUsedBytes: number;
  };
  readonly fileSystems?: readonly {
    readonly mountPoint: string;
    readonly type: string;
    readonly sizeBytes: number;
    /** For users without privileges. */
    readonly availableBytes: number;
  }[];
  /** Of all disks with a mounted file system together. */
  readonly disks?: { readonly readBytes: number; readonly writtenBytes: number };
  readonly networks?: readonly {
    readonly device: string;
    readonly receivedBytes: number;
    readonly sentBytes: number;
    readonly receiveErrors: number;
    readonly sendErrors: number;
  }[];
}

export interface HostReader {
  /** Ends within its time limit also where the system hangs. */
  read(): Promise<{ readonly facts: HostFacts /** Parts that could not be read, with why. */; readonly failures: readonly string[] }>;
}

export interface HostSample extends HostFacts {
  /** Wall clock, ms since the epoch. */
  readonly atMs: number;
}

export class HostTelemetry {
  readonly latest = new Latest<HostSample>();
  readonly #loop: Loop;

  constructor(deps: {
    readonly reader: HostReader;
    readonly clock: Clock;
    readonly collectors: Collectors;
    readonly periodMs: number;
    readonly log: (facts: object, message: string) => void;
  }) {
    let failing = '';
    const tell = (failures: string): void => {
      // Once for each change: a disk that hangs does so for days.
      if (failures !== failing && failures !== '') deps.log({ failures }, 'parts of the host could not be measured');
      failing = failures;
    };
    this.#loop = new Loop({
      once: async () => {
        const startMs = deps.clock.elapsedMs();
        const { facts, failures } = await deps.reader.read();
        this.latest.set({ ...facts, atMs: deps.clock.nowMs() });
        deps.collectors.record('host', { succeeded: failures.length === 0, durationMs: deps.clock.elapsedMs() - startMs });
        tell(failures.join('; '));
      },
      periodMs: deps.periodMs,
      clock: deps.clock,
      onFailure: (failure) => {
        deps.collectors.record('host', { succeeded: false, durationMs: 0 });
        tell(failure instanceof Error ? failure.message : String(failure));
      },
    });
  }

  /** Ends with the signal, and does not wait for a reading under way: it changes nothing. */
  async run(signal: AbortSignal): Promise<void> {
    const stopped = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    await Promise.race([this.#loop.run(signal), stopped]);
  }
}
