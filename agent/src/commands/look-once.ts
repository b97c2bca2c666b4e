// One look at everything, in the order in which an agent's loops would take it.
import type { GpuSample } from '#core/telemetry/sample';
import { type AttributedProcess, NodeState, nodeKey } from '../app/node-state.ts';
import { DriverFault, type GpuDriver, type Reading } from '../app/ports.ts';
import type { InventoryState } from './inventory-document.ts';

export interface LookOnceDeps {
  readonly node: string;
  readonly driver: GpuDriver;
  readonly nowMs: () => number;
  /** Which pids belong to which allocation, as their processes say. */
  readonly pidsByAllocation: () => Promise<ReadonlyMap<string, readonly number[]>>;
}

const notStarted = 'install the NVIDIA driver, or name its nvidia-smi in ASTRAGO_NVIDIA_SMI';

/** `answered` is whether the driver said what GPUs there are. Its faults are findings in the state; it throws only for `signal`. */
export async function lookOnce(
  deps: LookOnceDeps,
  signal: AbortSignal,
): Promise<{ readonly answered: boolean; readonly state: InventoryState }> {
  const { driver, nowMs } = deps;
  const state = new NodeState(nowMs);
  let processes: readonly AttributedProcess[] = [];
  let samples: readonly GpuSample[] = [];
  const listing = await faultOf(async () => {
    const seen = await driver.observe(signal);
    state.setAll(seen.driverVersion, seen.gpus, state.moment);
  });
  if (listing !== undefined) {
    state.noteFault(nodeKey, listing);
    if (listing.cause instanceof Error && listing.code === 'driver-unavailable')
      state.setCondition(nodeKey, 'driver-unavailable', `${listing.cause.message}; ${notStarted}`);
  }
  // One that hangs, or is not there, would only be waited for once more.
  if (listing === undefined || listing.code === 'unreadable-output' || listing.code === 'failed') {
    const asked = await Promise.all([
      faultOf(async () => {
        processes = await attributed(deps, signal);
      }),
      faultOf(async () => {
        samples = (await driver.readings(signal)).map((reading) => sampleOf(reading, nowMs()));
      }),
    ]);
    const faults = asked.filter((fault) => fault !== undefined);
    // The GPUs are listed all the same: what is missing is only what is measured of them.
    const hung = faults.find((fault) => fault.code === 'timed-out' || fault.code === 'busy-with-hung-command');
    if (hung !== undefined) state.noteFault(nodeKey, hung);
    else if (faults.length > 0) state.setCondition(nodeKey, 'telemetry-stale', faults.map((fault) => fault.message).join('; '));
  }
  return {
    answered: listing === undefined,
    state: { node: deps.node, nowMs: nowMs(), inventory: state.inventory.current, processes, samples, sliceSamples: [] },
  };
}

async function attributed(deps: LookOnceDeps, signal: AbortSignal): Promise<readonly AttributedProcess[]> {
  const seen = await deps.driver.observeProcesses(signal);
  // Reading every process of the machine is for those that use a GPU only.
  const owners = seen.length === 0 ? new Map<string, readonly number[]>() : await deps.pidsByAllocation();
  const byPid = new Map([...owners].flatMap(([allocation, pids]) => pids.map((pid) => [pid, allocation] as const)));
  return seen.map((process) => ({ ...process, allocation: byPid.get(process.pid) }));
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

async function faultOf(work: () => Promise<void>): Promise<DriverFault | undefined> {
  try {
    await work();
    return undefined;
  } catch (thrown) {
    if (thrown instanceof DriverFault) return thrown;
    throw thrown;
  }
}
