// One look at everything, in the order in which an agent's loops would take it.
import type { Clock } from '@astrago/shared/runtime/clock';
import { afterSample, findingsOf, unexamined } from '#core/health/gpu-health';
import type { GpuSample, SliceSample } from '#core/telemetry/sample';
import { type AttributedProcess, NodeState, nodeKey } from '../app/node-state.ts';
import { DriverFault, type GpuDriver, type ObservedProcess, type Reading } from '../app/ports.ts';
import type { TelemetrySource } from '../app/telemetry-source.ts';
import { firstRounds } from './first-rounds.ts';
import type { InventoryState } from './inventory-document.ts';

export interface LookOnceDeps {
  readonly node: string;
  readonly driver: Pick<GpuDriver, 'observe' | 'observeProcesses' | 'readings'>;
  readonly telemetry: TelemetrySource;
  /** How long the readers may take for their first round. */
  readonly limitMs: number;
  readonly clock: Clock;
  /** Says of processes whose they are. */
  readonly attribute: (seen: readonly ObservedProcess[]) => Promise<readonly AttributedProcess[]>;
}

interface Measured {
  readonly processes: readonly ObservedProcess[];
  readonly samples: readonly GpuSample[];
  readonly sliceSamples: readonly SliceSample[];
  readonly faults: readonly DriverFault[];
}

const nothing: Measured = { processes: [], samples: [], sliceSamples: [], faults: [] };
const notStarted = 'install the NVIDIA driver, or name its nvidia-smi in ASTRAGO_NVIDIA_SMI';

/** `answered` is whether the driver said what GPUs there are. Its faults are findings in the state; it throws only for `signal`. */
export async function lookOnce(
  deps: LookOnceDeps,
  signal: AbortSignal,
): Promise<{ readonly answered: boolean; readonly state: InventoryState }> {
  const { driver, clock } = deps;
  const state = new NodeState(clock.nowMs);
  const listing = await outcomeOf(async () => {
    const seen = await driver.observe(signal);
    state.setAll(seen.driverVersion, seen.gpus, state.moment);
    return seen.gpus.length;
  });
  const fault = listing instanceof DriverFault ? listing : undefined;
  if (fault !== undefined) {
    state.noteFault(nodeKey, fault);
    if (fault.cause instanceof Error && fault.code === 'driver-unavailable')
      state.setCondition(nodeKey, 'driver-unavailable', `${fault.cause.message}; ${notStarted}`);
  }
  // One that hangs, or is not there, would only be waited for once more.
  const worthAsking = fault === undefined ? listing !== 0 : fault.code === 'unreadable-output' || fault.code === 'failed';
  const measured = worthAsking ? await measure(deps, signal) : nothing;
  // What needs more than one look to be sure of is left out.
  for (const sample of measured.samples)
    for (const { kind, detail } of findingsOf(afterSample(unexamined, sample, 0), 0)) state.setCondition(sample.gpuUuid, kind, detail);
  // The GPUs are listed all the same: what is missing is only what is measured of them.
  const hung = measured.faults.find(({ code }) => code === 'timed-out' || code === 'busy-with-hung-command');
  if (hung !== undefined) state.noteFault(nodeKey, hung);
  else if (measured.faults.length > 0)
    state.setCondition(nodeKey, 'telemetry-stale', measured.faults.map(({ message }) => message).join('; '));
  const { samples, sliceSamples } = measured;
  // Reading every process of the machine is for those that use a GPU only.
  const processes = measured.processes.length === 0 ? [] : await deps.attribute(measured.processes);
  return {
    answered: fault === undefined,
    state: { node: deps.node, nowMs: clock.nowMs(), inventory: state.inventory.current, processes, samples, sliceSamples },
  };
}

/** By the agent's own readers; single commands tell less, and stand in for a reader that fails. */
async function measure({ driver, telemetry, clock, limitMs }: LookOnceDeps, signal: AbortSignal): Promise<Measured> {
  const { samples, details } = await firstRounds(telemetry, clock, limitMs, signal);
  const taken =
    samples ?? (await outcomeOf(async () => (await driver.readings(signal)).map((reading) => sampleOf(reading, clock.nowMs()))));
  const processes = details?.processes ?? (await outcomeOf(() => driver.observeProcesses(signal)));
  return {
    processes: processes instanceof DriverFault ? [] : processes,
    samples: taken instanceof DriverFault ? [] : taken,
    sliceSamples: details?.slices ?? [],
    faults: [taken, processes].filter((one) => one instanceof DriverFault),
  };
}

function sampleOf(reading: Reading, atMs: number): GpuSample {
  return {
    gpuUuid: reading.gpuUuid,
    atMs,
    values: {
      ...(reading.utilizationRatio === undefined ? {} : { 'gpu-utilization': reading.utilizationRatio }),
      ...(reading.memoryUsedMiB === undefined ? {} : { 'memory-used': reading.memoryUsedMiB * 2 ** 20 }),
      ...(reading.temperatureCelsius === undefined ? {} : { temperature: reading.temperatureCelsius }),
      ...(reading.powerWatts === undefined ? {} : { power: reading.powerWatts }),
    },
    words: {},
  };
}

async function outcomeOf<T>(work: () => Promise<T>): Promise<T | DriverFault> {
  try {
    return await work();
  } catch (thrown) {
    if (thrown instanceof DriverFault) return thrown;
    throw thrown;
  }
}
