import { type GpuUuid, parseGpuUuid } from '@astrago/shared/domain/ids';
import { describe, expect, it } from 'vitest';
import type { GpuSample } from '#core/telemetry/sample';
import { until } from '../testing/until.ts';
import { NodeState } from './node-state.ts';
import type { ObservedProcess } from './ports.ts';
import { sample } from './sampler.ts';
import type { DeviceDetails, TelemetrySink, TelemetrySource, TelemetryStatus } from './telemetry-source.ts';

const gpu: GpuUuid = parseGpuUuid('GPU-aaaaaaaa-0000-0000-0000-000000000000') ?? fail();
const idle: TelemetryStatus['gpus'] = { state: 'running', restarts: 0, abandoned: 0, lastSuccessAtMs: undefined, lastError: undefined };
const status: TelemetryStatus = { gpus: idle, details: idle, fields: [] };

function fail(): never {
  throw new Error('not a UUID');
}

function process(pid: number): ObservedProcess {
  return { gpuUuid: gpu, pid, name: 'python', gpuInstanceId: undefined, computeInstanceId: undefined, usedMemoryMiB: 17 };
}

function details(atMs: number, more: Partial<DeviceDetails> = {}): DeviceDetails {
  return { atMs, processes: [], slices: [], extras: [], complete: true, ...more };
}

/** A sampler whose time, telemetry and launcher the test owns. */
function started() {
  const time = { nowMs: 0 };
  const state = new NodeState(() => time.nowMs);
  const stop = new AbortController();
  const logged: string[] = [];
  const looks: PromiseWithResolvers<ReadonlyMap<string, readonly number[]>>[] = [];
  let sink: TelemetrySink | undefined;
  const telemetry: TelemetrySource = {
    status,
    run: (signal, given) => {
      sink = given;
      return new Promise((resolve) => signal.addEventListener('abort', () => resolve()));
    },
  };
  const running = sample(
    {
      telemetry,
      state,
      attribution: {
        attribute: async (processes) => {
          const look = Promise.withResolvers<ReadonlyMap<string, readonly number[]>>();
          looks.push(look);
          const members = await look.promise;
          const allocationOf = (pid: number) => [...members].find(([, pids]) => pids.includes(pid))?.[0];
          return processes.map((process) => ({ ...process, allocation: allocationOf(process.pid) }));
        },
      },
      clock: { nowMs: () => time.nowMs, elapsedMs: () => time.nowMs, sleep: () => Promise.resolve() },
      detailPeriodMs: 1000,
      log: (_facts, message) => logged.push(message),
    },
    stop.signal,
  );
  if (sink === undefined) throw new Error('telemetry was not started');
  return {
    sink,
    state,
    time,
    looks,
    logged,
    valuesNow: (): GpuSample['values'] | undefined => state.samples.current?.samples.get(gpu)?.values,
    end: async () => {
      stop.abort();
      for (const look of looks) look.resolve(new Map());
      await running;
    },
  };
}

function round(values: GpuSample['values']): readonly GpuSample[] {
  return [{ gpuUuid: gpu, atMs: 0, values, words: {} }];
}

describe('samples', () => {
  it('are in the state with what the details add, as long as that is fresh', async () => {
    const { sink, time, valuesNow, state, end } = started();

    sink.gpus(round({ temperature: 40, 'memory-used': 3 * 1024 ** 2 }), 0);
    expect(valuesNow()).toEqual({ temperature: 40, 'memory-used': 3 * 1024 ** 2 });
    expect(state.readings.current?.readings).toEqual([
      { gpuUuid: gpu, utilizationRatio: undefined, memoryUsedMiB: 3, temperatureCelsius: 40, powerWatts: undefined },
    ]);

    sink.devices(details(0, { extras: round({ 'pcie-replays': 2, temperature: 99 }) }));
    expect(valuesNow()).toMatchObject({ 'pcie-replays': 2, temperature: 40 });

    time.nowMs = 3001;
    sink.gpus(round({ temperature: 41 }), 3001);
    expect(valuesNow()).toEqual({ temperature: 41 });
    expect(state.telemetryStatus()).toBe(status);
    await end();
  });

  it('of a GPU that no longer answers are gone', async () => {
    const { sink, state, end } = started();
    sink.gpus(round({ temperature: 40 }), 0);

    sink.gpus([], 1);

    expect(state.samples.current).toEqual({ atMs: 1, samples: new Map() });
    await end();
  });
});

describe('details', () => {
  it('leave slices alone where the driver does not tell', async () => {
    const { sink, state, looks, end } = started();

    sink.devices(details(1, { complete: false, processes: [process(7)] }));
    looks[0]?.resolve(new Map());
    await until(() => state.processes.current !== undefined, 'processes');

    expect(state.slices.current).toBeUndefined();
    await end();
  });

  it('wait for one look at the launcher at a time, and the newest wins', async () => {
    const { sink, state, looks, logged, end } = started();

    sink.devices(details(1, { processes: [process(1)] }));
    sink.devices(details(2, { processes: [process(2)] }));
    sink.devices(details(3, { processes: [process(3), process(4)] }));
    expect(looks).toHaveLength(1);
    looks[0]?.reject(new Error('no such directory'));
    await until(() => looks.length === 2, 'a second look');
    looks[1]?.resolve(new Map([['allocation-1', [3]]]));
    await until(() => state.processes.current !== undefined, 'processes');

    expect(state.processes.current).toEqual({
      atMs: 3,
      processes: [
        { ...process(3), allocation: 'allocation-1' },
        { ...process(4), allocation: undefined },
      ],
    });
    expect(logged).toHaveLength(1);
    expect(looks).toHaveLength(2);
    await end();
  });
});
