// How the driver's measurements reach the agent: pushed as they come, by readers that look after themselves.
import type { GpuMeasure, GpuSample, GpuWords, SliceSample } from '#core/telemetry/sample';
import type { ObservedProcess } from './ports.ts';

/** What is known of processes and slices at one moment; each time the whole. */
export interface DeviceDetails {
  readonly atMs: number;
  /** That compute, or might. */
  readonly processes: readonly ObservedProcess[];
  /** Empty also where the driver does not tell, see `complete`. */
  readonly slices: readonly SliceSample[];
  /** Per GPU what {@link TelemetrySink.gpus} does not bring, such as PCIe traffic. */
  readonly extras: readonly GpuSample[];
  /** `false` where the driver told neither instances nor slices, but only who computes on which GPU. */
  readonly complete: boolean;
}

/** Must not throw. */
export interface TelemetrySink {
  /** One round: every GPU that answered. */
  gpus(samples: readonly GpuSample[], atMs: number): void;
  devices(details: DeviceDetails): void;
}

export interface ReaderStatus {
  /**
   * `paused` while a change needs the GPUs for itself; what is not measured then is no failure. `stuck` as long as a
   * reader that cannot be killed is there. `falling-back` while single commands stand in for the long-running one.
   */
  readonly state: 'starting' | 'running' | 'backing-off' | 'paused' | 'stuck' | 'falling-back';
  /** Starts after an end that nobody asked for. */
  readonly restarts: number;
  /** Readers that could not be killed and are still there. */
  readonly abandoned: number;
  /** Wall clock, ms since the epoch; absent before the first time. */
  readonly lastSuccessAtMs: number | undefined;
  /** Of the last failure since the last success. */
  readonly lastError: string | undefined;
}

/** Whether this driver has what a measure is made of. */
export interface FieldSupport {
  readonly field: GpuMeasure | keyof GpuWords;
  /** The field of `--query-gpu` that gives it, or would; `-q -x` for what only the log has. */
  readonly source: string;
  readonly supported: boolean;
}

export interface TelemetryStatus {
  readonly gpus: ReaderStatus;
  readonly details: ReaderStatus;
  /** Empty before the driver was asked. */
  readonly fields: readonly FieldSupport[];
}

export interface TelemetrySource {
  /** Feeds `sink` until the signal is aborted; never rejects. */
  run(signal: AbortSignal, sink: TelemetrySink): Promise<void>;
  readonly status: TelemetryStatus;
}
