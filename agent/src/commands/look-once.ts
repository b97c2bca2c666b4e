// One look at everything, in the order in which an agent's loops would take it.
import type { GpuUuid } from '@astrago/shared/domain/ids';
import type { Clock } from '@astrago/shared/runtime/clock';
import { afterSample, findingsOf, unexamined } from '#core/health/gpu-health';
import type { GpuSample } from '#core/telemetry/sample';
import { type AttributedProcess, type GpuTopology, NodeState, nodeKey } from '../app/node-state.ts';
import { DriverFault, type GpuDriver, type ObservedGpu, type ObservedProcess } from '../app/ports.ts';
import type { DeviceDetails } from '../app/telemetry-source.ts';
import type { InventoryState } from './inventory-document.ts';

/** What there is to know at one moment. */
export interface Measured {
  readonly samples: readonly GpuSample[];
  /** Absent where they could not be had. */
  readonly details: DeviceDetails | undefined;
  /** Why something is missing. */
  readonly faults: readonly DriverFault[];
}

export interface LookOnceDeps {
  readonly node: string;
  readonly driver: Pick<GpuDriver, 'observe'> & { telemetryOnce(signal: AbortSignal): Promise<Measured> };
  readonly clock: Clock;
  /** How the GPUs are connected; absent: not asked. Rejects only when `signal` is aborted. */
  readonly topology?: ((gpus: readonly ObservedGpu[], signal: AbortSignal) => Promise<ReadonlyMap<GpuUuid, GpuTopology>>) | undefined;
  /** Says of processes whose they are. */
  readonly attribute: (seen: readonly ObservedProcess[]) => Promise<readonly AttributedProcess[]>;
}

const nothing: Measured = { samples: [], details: undefined, faults: [] };
const notStarted = 'install the NVIDIA driver, or name its nvidia-smi in ASTRAGO_NVIDIA_SMI';
const notUnderstood = 'see what it prints, and name another nvidia-smi in ASTRAGO_NVIDIA_SMI if it is none';

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
    return seen.gpus;
  });
  if (listing instanceof DriverFault) noteFailure(state, listing);
  // One that hangs, or is not there, would only be waited for once more.
  const asksMore = isWorthAsking(listing);
  const [measured, topology] = await Promise.all([
    asksMore ? driver.telemetryOnce(signal) : nothing,
    asksMore && !(listing instanceof DriverFault) ? deps.topology?.(listing, signal) : undefined,
  ]);
  if (topology !== undefined) state.setTopology(topology);
  // What needs more than one look to be sure of is left out.
  for (const sample of measured.samples)
    for (const { kind, detail } of findingsOf(afterSample(unexamined, sample, 0), 0)) state.setCondition(sample.gpuUuid, kind, detail);
  // The GPUs are listed all the same: what is missing is only what is measured of them.
  const hung = measured.faults.find(isHang);
  const isMissing = measured.faults.length > 0 && (measured.samples.length === 0 || measured.details === undefined);
  if (hung !== undefined) state.noteFault(nodeKey, hung);
  else if (isMissing) state.setCondition(nodeKey, 'telemetry-stale', measured.faults.map(({ message }) => message).join('; '));
  const { samples, details } = measured;
  // Reading every process of the machine is for those that use a GPU only.
  const processes = details === undefined || details.processes.length === 0 ? [] : await deps.attribute(details.processes);
  return {
    answered: !(listing instanceof DriverFault),
    state: {
      node: deps.node,
      nowMs: clock.nowMs(),
      inventory: state.inventory.current,
      processes,
      samples: samples.map((sample) => withExtras(sample, details)),
      sliceSamples: details?.slices ?? [],
    },
  };
}

function noteFailure(state: NodeState, fault: DriverFault): void {
  state.noteFault(nodeKey, fault);
  if (fault.cause instanceof Error && fault.code === 'driver-unavailable')
    state.setCondition(nodeKey, 'driver-unavailable', `${fault.cause.message}; ${notStarted}`);
  if (fault.code === 'unreadable-output') state.setCondition(nodeKey, 'listing-unreadable', `${fault.message}; ${notUnderstood}`);
  if (fault.code === 'failed') state.setCondition(nodeKey, 'driver-unavailable', `${fault.message}; ${notUnderstood}`);
}

function isWorthAsking(listing: Awaited<ReturnType<GpuDriver['observe']>>['gpus'] | DriverFault): boolean {
  if (listing instanceof DriverFault) return listing.code === 'unreadable-output' || listing.code === 'failed';
  return listing.length > 0;
}

function isHang(fault: DriverFault): boolean {
  return fault.code === 'timed-out' || fault.code === 'busy-with-hung-command';
}

function withExtras(sample: GpuSample, details: DeviceDetails | undefined): GpuSample {
  const extra = details?.extras.find((own) => own.gpuUuid === sample.gpuUuid);
  return extra === undefined ? sample : { ...sample, values: { ...extra.values, ...sample.values } };
}

async function outcomeOf<T>(work: () => Promise<T>): Promise<T | DriverFault> {
  try {
    return await work();
  } catch (thrown) {
    if (thrown instanceof DriverFault) return thrown;
    throw thrown;
  }
}
