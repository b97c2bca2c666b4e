import type { Clock } from '@astrago/shared/runtime/clock';
import type { GpuSample } from '#core/telemetry/sample';
import type { AttributedProcess, NodeState } from './node-state.ts';
import type { ProcessLauncher, Reading } from './ports.ts';
import type { DeviceDetails, TelemetrySource } from './telemetry-source.ts';

export interface SamplerDeps {
  readonly telemetry: TelemetrySource;
  readonly state: NodeState;
  readonly launcher: Pick<ProcessLauncher, 'pidsByAllocation'>;
  readonly clock: Clock;
  /** What of the details is older than three of these is no longer added to samples. */
  readonly detailPeriodMs: number;
  readonly log: (facts: object, message: string) => void;
}

/** Writes what the telemetry source tells into the state of the node. Runs until the signal is aborted; never rejects. */
export async function sample(deps: SamplerDeps, signal: AbortSignal): Promise<void> {
  const { telemetry, state, launcher, clock, log } = deps;
  let samples: readonly GpuSample[] = [];
  let details: DeviceDetails | undefined;
  /** The newest details that no look at the launcher has been started for. */
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
        const byPid = new Map(
          [...(await launcher.pidsByAllocation())].flatMap(([allocation, members]) => members.map((pid) => [pid, allocation] as const)),
        );
        state.processes.set({
          atMs,
          processes: processes.map((process): AttributedProcess => ({ ...process, allocation: byPid.get(process.pid) })),
        });
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
