// What `astrago agent inventory --json` prints. Programs of others read it: within a schema version fields are only added.
import { type Condition, type ConditionKind, conditionKinds, type RecoveryAction, type Severity } from '@astrago/shared/domain/condition';
import type { Profile } from '@astrago/shared/domain/mig/profile';
import type { LiveSlice } from '@astrago/shared/domain/mig/slice';
import type { GpuSample, SliceSample } from '#core/telemetry/sample';
import { type AttributedProcess, type NodeSnapshot, nodeKey } from '../app/node-state.ts';
import type { ObservedGpu, ProcessType, UnplacedSlice } from '../app/ports.ts';
import { gpuReadings, sliceReadings } from './reading-names.ts';

/** What was not printed, not measured or does not apply is absent; memory is in bytes and times are RFC 3339. */
export interface InventoryDocument {
  readonly schemaVersion: 1;
  readonly node: string;
  readonly takenAt: string;
  readonly driverVersion?: string;
  /** By index. A GPU that the driver no longer lists has only its findings, in `conditions` below. */
  readonly gpus: readonly GpuEntry[];
  readonly processes: readonly ProcessEntry[];
  /** Of the node, and of GPUs that are not listed. */
  readonly conditions: readonly ConditionEntry[];
}

interface GpuEntry {
  readonly uuid: string;
  readonly index: number;
  readonly model: string;
  readonly pciBusId: string;
  readonly memoryBytes?: number;
  /** GPUs with the same number reach each other over NVLink. */
  readonly nvlinkGroup?: number;
  /** As the kernel numbers them. */
  readonly numaNode?: number;
  /** `pending` is the mode after the next reset, where it differs. */
  readonly mig: { readonly capable: boolean; readonly enabled: boolean; readonly pending?: boolean };
  /** What the device offers; absent where it offers nothing or did not say. */
  readonly profiles?: readonly ProfileEntry[];
  readonly slices: readonly SliceEntry[];
  /** By the names of reading-names.ts. */
  readonly readings: Readonly<Record<string, Reading>>;
  readonly conditions: readonly ConditionEntry[];
}

type Reading = number | boolean | string;

interface ProfileEntry {
  readonly profile: string;
  readonly gpuInstanceProfileId: number;
  readonly computeSlices: number;
  readonly size: number;
  readonly starts: readonly number[];
  readonly instancesMax: number;
  readonly memoryBytes: number;
}

interface SliceEntry {
  /** Of its compute instance where nothing else is known. */
  readonly profile?: string;
  /** In placement units of the device, as `size`; both are absent where the driver does not tell the place. */
  readonly start?: number;
  readonly size?: number;
  readonly gpuInstanceId?: number;
  readonly computeInstanceId?: number;
  readonly migUuid?: string;
  readonly readings: Readonly<Record<string, Reading>>;
}

interface ProcessEntry {
  readonly pid: number;
  readonly name: string;
  readonly type?: ProcessType;
  readonly gpuUuid: string;
  readonly gpuInstanceId?: number;
  readonly computeInstanceId?: number;
  readonly usedMemoryBytes?: number;
  /** Absent for a process that no allocation explains. */
  readonly allocation?: string;
  readonly workload?: string;
  readonly workspace?: string;
  /** Of the Kubernetes pod and the container it is in; absent outside of any. */
  readonly podUid?: string;
  readonly containerId?: string;
  readonly mpsRole?: 'client' | 'server';
}

interface ConditionEntry {
  readonly kind: ConditionKind;
  readonly severity: Severity;
  readonly action: RecoveryAction;
  readonly detail: string;
  readonly gpuUuid?: string;
}

/** What the loops of an agent know, or one look has told. */
export interface InventoryState {
  readonly node: string;
  readonly nowMs: number;
  /** `undefined` before the driver has said anything at all. */
  readonly inventory: NodeSnapshot | undefined;
  readonly processes: readonly AttributedProcess[];
  readonly samples: readonly GpuSample[];
  readonly sliceSamples: readonly SliceSample[];
}

export function inventoryDocument(state: InventoryState): InventoryDocument {
  const conditions = state.inventory?.conditions ?? new Map<string, readonly Condition[]>();
  const lost = new Set([...conditions].filter(([, list]) => list.some(({ kind }) => kind === 'gpu-lost')).map(([key]) => key));
  const listed = (state.inventory?.gpus ?? []).filter((gpu) => !lost.has(gpu.uuid));
  const uuids = new Set<string>(listed.map((gpu) => gpu.uuid));
  return {
    schemaVersion: 1,
    node: state.node,
    takenAt: new Date(state.nowMs).toISOString(),
    ...given({ driverVersion: state.inventory?.driverVersion }),
    gpus: listed.map((gpu) => gpuEntry(gpu, state, conditions.get(gpu.uuid) ?? [])),
    processes: state.processes.map((process) => ({
      pid: process.pid,
      name: process.name,
      ...given({ type: process.type }),
      gpuUuid: process.gpuUuid,
      ...given({
        gpuInstanceId: process.gpuInstanceId,
        computeInstanceId: process.computeInstanceId,
        usedMemoryBytes: bytes(process.usedMemoryMiB),
        allocation: process.allocation,
        workload: process.workload,
        workspace: process.workspace,
        podUid: process.podUid,
        containerId: process.containerId,
        mpsRole: process.mpsRole,
      }),
    })),
    conditions: [...conditions]
      .filter(([key]) => !uuids.has(key))
      .flatMap(([key, list]) => list.map((one) => ({ ...conditionEntry(one), ...(key === nodeKey ? {} : { gpuUuid: key }) }))),
  };
}

function gpuEntry(gpu: ObservedGpu, state: InventoryState, conditions: readonly Condition[]): GpuEntry {
  const sample = state.samples.find((one) => one.gpuUuid === gpu.uuid);
  return {
    uuid: gpu.uuid,
    index: gpu.index,
    model: gpu.model,
    pciBusId: gpu.pciBusId,
    ...given({ memoryBytes: bytes(gpu.memoryMiB), nvlinkGroup: gpu.nvlinkGroup, numaNode: gpu.numaNode }),
    mig: { capable: gpu.migCapable, enabled: gpu.migEnabled, ...given({ pending: gpu.migPending }) },
    ...(gpu.profiles.length === 0 ? {} : { profiles: gpu.profiles.map(profileEntry) }),
    slices: [
      ...gpu.slices.map((slice) => sliceEntry(gpu, slice, state.sliceSamples)),
      ...unplacedOf(gpu, state.sliceSamples).map((slice) => unplacedEntry(gpu, slice, state.sliceSamples)),
    ],
    readings: sample === undefined ? {} : gpuReadings(sample),
    conditions: conditions.map(conditionEntry),
  };
}

function profileEntry({ name, memoryMiB, ...rest }: Profile): ProfileEntry {
  const { gpuInstanceProfileId, computeSlices, size, starts, instancesMax } = rest;
  return { profile: name, gpuInstanceProfileId, computeSlices, size, starts, instancesMax, memoryBytes: memoryMiB * 2 ** 20 };
}

function sliceEntry(gpu: ObservedGpu, slice: LiveSlice, samples: readonly SliceSample[]): SliceEntry {
  const { profile, start, size, gpuInstanceId, computeInstanceId, migUuid } = slice;
  return {
    profile,
    start,
    size,
    gpuInstanceId,
    ...given({ computeInstanceId, migUuid }),
    readings: readingsOf(gpu, slice, samples),
  };
}

/** Where the driver names no slice, those that were measured are there all the same. */
function unplacedOf({ uuid, shortfall }: ObservedGpu, samples: readonly SliceSample[]): readonly UnplacedSlice[] {
  if (shortfall?.unplaced === undefined || shortfall.unplaced.length > 0) return shortfall?.unplaced ?? [];
  return samples
    .filter(({ gpuUuid }) => gpuUuid === uuid)
    .map(({ gpuInstanceId, computeInstanceId }) => ({ profile: undefined, gpuInstanceId, computeInstanceId, migUuid: undefined }));
}

function unplacedEntry(gpu: ObservedGpu, slice: UnplacedSlice, samples: readonly SliceSample[]): SliceEntry {
  const { profile, gpuInstanceId, computeInstanceId, migUuid } = slice;
  return { ...given({ profile, gpuInstanceId, computeInstanceId, migUuid }), readings: readingsOf(gpu, slice, samples) };
}

function readingsOf(
  gpu: ObservedGpu,
  slice: Pick<UnplacedSlice, 'gpuInstanceId' | 'computeInstanceId'>,
  samples: readonly SliceSample[],
): SliceEntry['readings'] {
  const sample = samples.find(
    (one) =>
      one.gpuUuid === gpu.uuid &&
      one.gpuInstanceId === slice.gpuInstanceId &&
      (one.computeInstanceId === undefined || one.computeInstanceId === slice.computeInstanceId),
  );
  return sample === undefined ? {} : sliceReadings(sample);
}

function conditionEntry({ kind, detail }: Condition): ConditionEntry {
  const { severity, action } = conditionKinds[kind];
  return { kind, severity, action, detail };
}

function bytes(mebibytes: number | undefined): number | undefined {
  return mebibytes === undefined ? undefined : mebibytes * 2 ** 20;
}

type Given<T> = { readonly [Key in keyof T]?: Exclude<T[Key], undefined> };

/** Only what there is, so that an absent value is an absent key to every reader. */
function given<T extends Readonly<Record<string, unknown>>>(values: T): Given<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Given<T>;
}
