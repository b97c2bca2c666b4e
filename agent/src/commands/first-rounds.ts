import type { Clock } from '@astrago/shared/runtime/clock';
import type { GpuSample } from '#core/telemetry/sample';
import type { DeviceDetails, ReaderStatus, TelemetrySource } from '../app/telemetry-source.ts';

export interface FirstRounds {
  /** Absent where the reader has failed first. */
  readonly samples: readonly GpuSample[] | undefined;
  readonly details: DeviceDetails | undefined;
}

/** How soon the end of a reader is seen. */
const lookMs = 20;

/** Listens until each reader has told a first round, or has failed to; then ends them. */
export async function firstRounds(telemetry: TelemetrySource, clock: Clock, limitMs: number, signal: AbortSignal): Promise<FirstRounds> {
  let samples: readonly GpuSample[] | undefined;
  let details: DeviceDetails | undefined;
  const over = new AbortController();
  const heard = new AbortController();
  const done = (): boolean => {
    const { gpus, details: reader } = telemetry.status;
    return (samples !== undefined || hasFailed(gpus)) && (details !== undefined || hasFailed(reader));
  };
  const running = telemetry.run(AbortSignal.any([signal, over.signal]), {
    gpus: (taken) => {
      samples ??= taken;
      if (details !== undefined) heard.abort();
    },
    devices: (taken) => {
      details ??= taken;
      if (samples !== undefined) heard.abort();
    },
  });
  const deadlineMs = clock.elapsedMs() + limitMs;
  while (!done() && !signal.aborted && clock.elapsedMs() < deadlineMs) await clock.sleep(lookMs, heard.signal);
  over.abort();
  await running;
  return { samples: withExtras(samples, details), details };
}

function hasFailed(status: ReaderStatus): boolean {
  return status.lastError !== undefined || status.state === 'backing-off' || status.state === 'stuck' || status.state === 'falling-back';
}

function withExtras(samples: readonly GpuSample[] | undefined, details: DeviceDetails | undefined): readonly GpuSample[] | undefined {
  return samples?.map((sample) => {
    const extra = details?.extras.find((own) => own.gpuUuid === sample.gpuUuid);
    return extra === undefined ? sample : { ...sample, values: { ...extra.values, ...sample.values } };
  });
}
