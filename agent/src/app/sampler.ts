import type { Clock } from '@astrago/shared/runtime/clock';
import type { GpuSample } from '#core/telemetry/sample';
import type { Attribution } from './attribution.ts';
import type { NodeState } from './node-state.ts';
import type { Reading } from './ports.ts';
import type { DeviceDetails, TelemetrySource } from './telemetry-source.ts';

export interface SamplerDeps {
  readonly telemetry: TelemetrySource;
  readonly state: NodeState;
  readonly attribution: Pick<Attribution, 'attribute'>;
  readonly clock: Clock;
  /** What of the details is older than three of these is no longer added to samples. */
  readonly detailPeriodMs: number;
  readonly log: (facts: object, message: string) => void;
}

/** Writes what the telemetry source tells into the state of the node. Runs until the signal is aborted; never rejects. */
export async function sample(deps: SamplerDeps, signal: AbortSignal): Promise<void> {
  const { telemetry, state, attribution, clock, log } = deps;
  let samples: readonly GpuSample[] = [];
  let details: DeviceDetails | undefined;
  /** The newest details whose processes nobody has been asked about yet. */
  let unattributed: DeviceDetails | undefined;
  let attributing: Promise<void> | undefined;

  const publish = (atMs: number): void => {
    const extras = details !== undefined && clock.nowMs() - details.atMs <= 3 * deps.detailPeriodMs ? details.extras : [];
    state.samples.set({ atMs, samples: new Map(samples.map((own) => [own.gpuUuid, withExtras(own, extras)])) });
  };
  const attribute = async (): Promise<void> => {
    while (unattributed !== undefined) {
      const { atMs, processes } = unattributed;
      unattributed = undefined;
      try {
        state.processes.set({ atMs, processes: await attribution.attribute(processes) });
      } catch (failure) {
        log(
          { failure: failure instanceof Error ? failure.message : String(failure) },
          'finding out whose processes are on the GPUs failed',
        );
      }
    }
  };

  state.telemetryStatus = () => telemetry.status;
  await telemetry.run(signal, {
    gpus: (taken, atMs) => {
      samples = taken;
      publish(atMs);
      state.readings.set({ atMs, readings: taken.map(readingOf) });
    },
    devices: (taken) => {
      details = taken;
      const newest = state.samples.current?.atMs;
      if (newest !== undefined) publish(newest);
      if (taken.complete) state.slices.set({ atMs: taken.atMs, slices: taken.slices });
      unattributed = taken;
      attributing ??= attribute().finally(() => {
        attributing = undefined;
      });
    },
  });
  await attributing;
}

function withExtras(sample: GpuSample, extras: readonly GpuSample[]): GpuSample {
  const extra = extras.find((own) => own.gpuUuid === sample.gpuUuid);
  return extra === undefined ? sample : { ...sample, values: { ...extra.values, ...sample.values } };
}

function readingOf({ gpuUuid, values }: GpuSample): Reading {
  const used = values['memory-used'];
  return {
    gpuUuid,
    utilizationRatio: values['gpu-utilization'],
    memoryUsedMiB: used === undefined ? undefined : Math.round(used / 1024 ** 2),
    temperatureCelsius: values.temperature,
    powerWatts: values.power,
  };
}
