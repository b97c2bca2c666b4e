import { type Condition, conditionKinds } from '@astrago/shared/domain/condition';
import type { GpuUuid } from '@astrago/shared/domain/ids';
import type { LiveSlice } from '@astrago/shared/domain/mig/slice';
import type { GpuSample, SliceSample } from '#core/telemetry/sample';
import { type NodeSnapshot, type NodeState, nodeKey } from '../app/node-state.ts';
import type { ObservedGpu, UnplacedSlice } from '../app/ports.ts';
import type { Exposition } from './exposition.ts';
import type { Freshness } from './freshness.ts';
import { gpuCondition, gpuInfo, gpuShown, nodeCondition, sliceInfo, sliceShown } from './gpu-families.ts';

/** How often each kind of fact comes, in ms; what is older than three of its periods is left out. */
export interface Periods {
  readonly inventory: number;
  readonly sample: number;
  /** Of slices and processes. */
  readonly detail: number;
  readonly host: number;
}

/** What may be told now: neither lost nor old. */
export interface FreshView {
  readonly driverVersion: string | undefined;
  /** As listed; empty when the listing is old. */
  readonly gpus: readonly ObservedGpu[];
  readonly samples: readonly GpuSample[];
  /** One a GPU instance that is there. */
  readonly slices: readonly SliceSample[];
}

export function freshView(state: NodeState, freshness: Freshness, periods: Periods): FreshView {
  const inventory = state.inventory.current;
  const lost = lostGpus(inventory);
  const listed = inventory !== undefined && freshness.isFresh(inventory.observedAtMs, periods.inventory) ? inventory.gpus : [];
  const gpus = listed.filter(({ uuid }) => !lost.has(uuid));
  const samples = [...(state.samples.current?.samples.values() ?? [])].filter(
    ({ gpuUuid, atMs }) => !lost.has(gpuUuid) && freshness.isFresh(atMs, periods.sample),
  );
  const instances = new Set(gpus.flatMap((gpu) => shownSlices(gpu).map((slice) => `${gpu.uuid} ${slice.gpuInstanceId}`)));
  const slices = (state.slices.current?.slices ?? []).filter(
    // Deleted so that a second compute instance of the same GPU instance finds nothing left.
    (slice) => freshness.isFresh(slice.atMs, periods.detail) && instances.delete(`${slice.gpuUuid} ${slice.gpuInstanceId}`),
  );
  return { driverVersion: inventory?.driverVersion, gpus, samples, slices };
}

/** Its last facts are kept for people; a series would say that it is there. */
function lostGpus(inventory: NodeSnapshot | undefined): ReadonlySet<GpuUuid> {
  const lost = (inventory?.gpus ?? []).filter(({ uuid }) => inventory?.conditions.get(uuid)?.some(({ kind }) => kind === 'gpu-lost'));
  return new Set(lost.map(({ uuid }) => uuid));
}

export function describeGpus(out: Exposition, node: string, view: FreshView): void {
  const measured = new Map(view.samples.map((sample) => [sample.gpuUuid, sample]));
  for (const gpu of view.gpus) {
    const identity = { node, gpu: String(gpu.index), uuid: gpu.uuid, model: gpu.model, pci_bus_id: gpu.pciBusId };
    out.add(gpuInfo, { ...identity, driver_version: view.driverVersion, mode: gpu.migEnabled ? 'mig' : 'whole' }, 1);
    for (const slice of shownSlices(gpu)) out.add(sliceInfo, sliceIdentity(gpu, slice), 1);
  }
  const boards = new Map(view.gpus.map(({ uuid, memoryMiB }) => [uuid, memoryMiB]));
  for (const { family, series } of gpuShown)
    for (const uuid of new Set([...boards.keys(), ...measured.keys()]))
      for (const { measure, label } of series) {
        // Known from the listing too, which comes before the first sample.
        const listedMiB = measure === 'memory-total' ? boards.get(uuid) : undefined;
        const value = measured.get(uuid)?.values[measure] ?? (listedMiB === undefined ? undefined : listedMiB * 1024 * 1024);
        out.add(family, { uuid, ...label }, value);
      }
  for (const { family, series } of sliceShown)
    for (const slice of view.slices)
      for (const { measure } of series) out.add(family, { uuid: slice.gpuUuid, gi: String(slice.gpuInstanceId) }, slice.values[measure]);
}

/** Those too of which the driver does not tell the place; what is not told has no label. */
function shownSlices(gpu: ObservedGpu): readonly (LiveSlice | UnplacedSlice)[] {
  return [...gpu.slices, ...(gpu.shortfall?.unplaced ?? [])];
}

function sliceIdentity(
  gpu: ObservedGpu,
  slice: LiveSlice | UnplacedSlice,
): Readonly<Record<(typeof sliceInfo.labels)[number], string | undefined>> {
  return {
    uuid: gpu.uuid,
    gi: slice.gpuInstanceId?.toString(),
    ci: slice.computeInstanceId?.toString(),
    mig_uuid: slice.migUuid,
    profile: slice.profile,
    placement_start: 'start' in slice ? String(slice.start) : undefined,
    placement_size: 'size' in slice ? String(slice.size) : undefined,
  };
}

/** Of GPUs in trouble, too: here age does not count, for the agent itself finds them. */
export function describeConditions(out: Exposition, node: string, inventory: NodeSnapshot | undefined): void {
  const facts = ({ kind }: Condition) => ({ kind, severity: conditionKinds[kind].severity, action: conditionKinds[kind].action });
  for (const [key, conditions] of inventory?.conditions ?? [])
    for (const condition of conditions)
      if (key === nodeKey) out.add(nodeCondition, { node, ...facts(condition) }, 1);
      else out.add(gpuCondition, { uuid: key, ...facts(condition) }, 1);
}
