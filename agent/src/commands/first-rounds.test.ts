import { parseGpuUuid } from '@astrago/shared/domain/ids';
import { systemClock } from '@astrago/shared/runtime/clock';
import { describe, expect, it } from 'vitest';
import type { GpuSample } from '#core/telemetry/sample';
import type { DeviceDetails, ReaderStatus, TelemetrySink, TelemetrySource } from '../app/telemetry-source.ts';
import { firstRounds } from './first-rounds.ts';

const gpuUuid = parseGpuUuid('GPU-00000000-0000-0000-0000-000000000001') as never;
const sample: GpuSample = { gpuUuid, atMs: 1, values: { temperature: 40 }, words: {} };
const details: DeviceDetails = {
  atMs: 1,
  processes: [],
  slices: [],
  extras: [{ ...sample, values: { temperature: 39, 'pcie-sent': 5 } }],
  complete: true,
};
const starting: ReaderStatus = { state: 'starting', restarts: 0, abandoned: 0, lastSuccessAtMs: undefined, lastError: undefined };
const failed: ReaderStatus = { ...starting, state: 'backing-off', lastError: 'no such option' };

/** Readers that tell what `tell` does, and then wait for their end. */
function source(tell: (sink: TelemetrySink) => void, gpus: ReaderStatus, log: ReaderStatus): TelemetrySource & { ended: boolean } {
  return {
    ended: false,
    status: { gpus, details: log, fields: [] },
    async run(signal, sink) {
      tell(sink);
      await new Promise<void>((resolve) =>
        signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), { once: true }),
      );
      this.ended = true;
    },
  };
}

const never = new AbortController().signal;

describe('the first rounds of the readers', () => {
  it('are taken once both have told, and the readers are ended', async () => {
    const both = source(
      (sink) => {
        sink.gpus([sample], 1);
        sink.gpus([], 2);
        sink.devices(details);
      },
      starting,
      starting,
    );

    expect(await firstRounds(both, systemClock, 60_000, never)).toEqual({
      samples: [{ ...sample, values: { temperature: 40, 'pcie-sent': 5 } }],
      details,
    });
    expect(both.ended).toBe(true);
  });

  it('are not waited for where a reader has failed', async () => {
    const one = source((sink) => sink.gpus([sample], 1), starting, failed);
    expect(await firstRounds(one, systemClock, 60_000, never)).toEqual({ samples: [sample], details: undefined });
    const none = source(() => undefined, failed, failed);
    expect(await firstRounds(none, systemClock, 60_000, never)).toEqual({ samples: undefined, details: undefined });
    expect(none.ended).toBe(true);
  });

  it('are given up at the limit, and for the caller', async () => {
    const silent = (): TelemetrySource => source(() => undefined, starting, starting);
    expect(await firstRounds(silent(), systemClock, 50, never)).toEqual({ samples: undefined, details: undefined });
    expect(await firstRounds(silent(), systemClock, 60_000, AbortSignal.abort())).toEqual({ samples: undefined, details: undefined });
  });
});
