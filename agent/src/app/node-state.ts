import type { Condition, ConditionKind } from '@astrago/shared/domain/condition';
import type { GpuUuid } from '@astrago/shared/domain/ids';
import { Latest } from '@astrago/shared/runtime/latest';
import type { AllocationStatus } from '#core/allocation-step';
import type { AllocatedDevice, EnforcementClass } from '#core/order';
import type { GpuSample, SliceSample } from '#core/telemetry/sample';
import type { DriverFault, DriverFaultCode, EnforcementAction, ObservedGpu, ObservedProcess, Reading } from './ports.ts';
import type { TelemetryStatus } from './telemetry-source.ts';

/** `observedAtMs` is when the driver last listed GPUs; 0 before it ever did. */
export interface NodeSnapshot {
  readonly driverVersion: string | undefined;
  readonly gpus: readonly ObservedGpu[];
  readonly conditions: ReadonlyMap<string, readonly Condition[]>;
  readonly observedAtMs: number;
  /** By GPU; absent where there is none. */
  readonly mpsDaemons?: ReadonlyMap<string, readonly MpsDaemonSnapshot[]>;
}

/** Where a GPU sits, as {@link ObservedGpu} has it. */
export type GpuTopology = Pick<ObservedGpu, 'nvlinkGroup' | 'numaNode'>;

/** An MPS control daemon of ours. */
export interface MpsDaemonSnapshot {
  /** The GPU or MIG UUID it serves. */
  readonly device: string;
  readonly state: 'starting' | 'ready' | 'fault' | 'failed' | 'stopping';
  readonly clientPids: readonly number[];
}

export interface AllocationSnapshot {
  readonly id: string;
  readonly workload: string;
  readonly status: AllocationStatus;
  /** The weakest of its devices; absent for an allocation without any. */
  readonly enforcement: EnforcementClass | undefined;
}

export interface AttributedProcess extends ObservedProcess {
  /** Absent for a stranger. */
  readonly allocation: string | undefined;
  /** Of the allocation. */
  readonly workload?: string | undefined;
  readonly workspace?: string | undefined;
  /** What the allocation holds as long as a process of it lives; absent when nobody knows any more. */
  readonly devices?: readonly AllocatedDevice[] | undefined;
  /** With the pid an identity within one boot, in clock ticks since boot; absent for what is not to be seen in /proc. */
  readonly startTime?: string | undefined;
  /** The Kubernetes pod and the container it is in; absent outside of any. */
  readonly podUid?: string | undefined;
  readonly containerId?: string | undefined;
  readonly mpsRole?: 'client' | 'server' | undefined;
}

export interface XidTotal {
  readonly gpuUuid: GpuUuid;
  readonly xid: number;
  /** Never falls in the life of the agent. */
  readonly count: number;
  /** Wall clock, ms since the epoch. */
  readonly lastAtMs: number;
}

/** Whether Xids can be seen at all. */
export type KernelLogStatus =
  /** `lostRecords` were overwritten before they were read; 0 where the log does not tell. */
  { readonly kind: 'readable'; readonly lostRecords: number } | { readonly kind: 'unreadable'; readonly detail: string };

const slicesUnknown =
  'where its slices lie is not known, so nothing is cut here: make this command work for the user that the agent runs as';

/** Key of {@link NodeState} conditions that are about the node as a whole. */
export const nodeKey = 'node';

/**
 * What the agent knows now. The loops write it; gRPC and metrics read it and never wait for nvidia-smi.
 * `undefined` until the driver has answered for the first time.
 */
export class NodeState {
  readonly inventory = new Latest<NodeSnapshot>();
  /** Xids since the machine was booted, as far as its log reaches back; at most 64 codes a GPU. */
  readonly xids = new Latest<readonly XidTotal[]>();
  readonly kernelLog = new Latest<KernelLogStatus>();
  readonly allocations = new Latest<readonly AllocationSnapshot[]>();
  readonly processes = new Latest<{ readonly atMs: number; readonly processes: readonly AttributedProcess[] }>();
  readonly readings = new Latest<{ readonly atMs: number; readonly readings: readonly Reading[] }>();
  /** The latest deeds of enforcement, oldest first. */
  readonly enforcement = new Latest<readonly EnforcementAction[]>();
  /** The newest round; a GPU that did not answer has none. */
  readonly samples = new Latest<{ readonly atMs: number; readonly samples: ReadonlyMap<GpuUuid, GpuSample> }>();
  /** Of all MIG slices; never set where the driver does not tell. */
  readonly slices = new Latest<{ readonly atMs: number; readonly slices: readonly SliceSample[] }>();
  /** How collecting goes; `undefined` before it was begun. */
  telemetryStatus: () => TelemetryStatus | undefined = () => undefined;

  readonly #gpus = new Map<GpuUuid, ObservedGpu>();
  /** GPUs the driver does not list. Their last facts stay, with a condition. */
  readonly #missing = new Set<GpuUuid>();
  readonly #conditions = new Map<string, Condition[]>();
  readonly #mpsDaemons = new Map<string, readonly MpsDaemonSnapshot[]>();
  #topology: ReadonlyMap<GpuUuid, GpuTopology> = new Map();
  readonly #nowMs: () => number;
  readonly #listedAt = new Map<GpuUuid, number>();
  #driverVersion: string | undefined;
  #observedAtMs = 0;
  #moment = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** As it was last listed in full: what is not known of its slices must not look like none. */
  gpu(uuid: GpuUuid): ObservedGpu | undefined {
    const gpu = this.#gpus.get(uuid);
    return this.#missing.has(uuid) || gpu === undefined || !hasItsSlices(gpu) ? undefined : gpu;
  }

  /** The driver has said that there is no such GPU; not merely nothing yet. */
  isMissing(uuid: GpuUuid): boolean {
    return this.#missing.has(uuid);
  }

  /** Of a GPU that was ever listed, also of one that is missing now. */
  lastSeen(uuid: GpuUuid): ObservedGpu | undefined {
    return this.#gpus.get(uuid);
  }

  /** Raises a condition that holds since before now. One that is raised already keeps its time. */
  raiseSince(uuid: GpuUuid, { kind, detail, sinceMs }: Condition): void {
    const list = this.#conditions.get(uuid) ?? [];
    if (!list.some((condition) => condition.kind === kind)) {
      this.#conditions.set(uuid, [...list, { kind, detail, sinceMs }]);
      this.publish();
    } else this.setCondition(uuid, kind, detail);
  }

  get known(): readonly GpuUuid[] {
    return [...this.#gpus.keys()];
  }

  /** Taken before a listing of all GPUs is asked for, see {@link setAll}. */
  get moment(): number {
    return this.#moment;
  }

  /**
   * A GPU that was listed by itself since `asked` is newer than this listing and stays. One that is not in it is
   * kept too: a listing leaves out what is lost, hangs or cannot be read, see {@link noteFault}.
   */
  setAll(driverVersion: string | undefined, gpus: readonly ObservedGpu[], asked: number): void {
    this.#driverVersion = driverVersion ?? this.#driverVersion;
    for (const gpu of gpus) if ((this.#listedAt.get(gpu.uuid) ?? 0) <= asked) this.#listed(gpu);
    this.#observedAtMs = this.#nowMs();
    for (const kind of ['driver-unavailable', 'driver-hung'] as const) this.#change(nodeKey, kind, undefined);
    this.publish();
  }

  setGpu(gpu: ObservedGpu): void {
    this.#moment += 1;
    this.#listedAt.set(gpu.uuid, this.#moment);
    this.#listed(gpu);
    this.#observedAtMs = this.#nowMs();
    this.publish();
  }

  #listed(gpu: ObservedGpu): void {
    const before = this.#gpus.get(gpu.uuid);
    const stays = before !== undefined && !hasItsSlices(gpu) && hasItsSlices(before) && before.migEnabled === gpu.migEnabled;
    this.#gpus.set(gpu.uuid, stays ? before : gpu);
    this.#missing.delete(gpu.uuid);
    const faults = new Map(gpu.shortfall?.faults.map((fault) => [kindOfFault(gpu.uuid, fault), fault]));
    for (const kind of Object.values(conditionOfFault)) if (!faults.has(kind)) this.#change(gpu.uuid, kind, undefined);
    for (const [kind, fault] of faults) {
      if (kind === 'gpu-lost') this.#missing.add(gpu.uuid);
      this.#change(gpu.uuid, kind, hasItsSlices(gpu) ? fault.message : `${fault.message}; ${slicesUnknown}`);
    }
  }

  /** What became of asking the driver about one GPU, or about all. */
  noteFault(key: GpuUuid | typeof nodeKey, fault: DriverFault): void {
    const kind = kindOfFault(key, fault);
    if (kind === 'gpu-lost' && key !== nodeKey) this.#missing.add(key);
    this.setCondition(key, kind, fault.message);
  }

  /** Raises a condition, keeping since when it holds, or clears it. */
  setCondition(key: GpuUuid | typeof nodeKey, kind: ConditionKind, detail: string | undefined): void {
    if (this.#change(key, kind, detail)) this.publish();
  }

  setMpsDaemons(gpu: GpuUuid, daemons: readonly MpsDaemonSnapshot[]): void {
    if (JSON.stringify(this.#mpsDaemons.get(gpu) ?? []) === JSON.stringify(daemons)) return;
    this.#mpsDaemons.set(gpu, daemons);
    this.publish();
  }

  /** Takes the place of what was known before of any GPU. */
  setTopology(byGpu: ReadonlyMap<GpuUuid, GpuTopology>): void {
    this.#topology = byGpu;
    this.publish();
  }

  #change(key: string, kind: ConditionKind, detail: string | undefined): boolean {
    const list = this.#conditions.get(key) ?? [];
    const before = list.find((condition) => condition.kind === kind);
    if (before?.detail === detail) return false;
    const rest = list.filter((condition) => condition.kind !== kind);
    if (detail !== undefined) rest.push({ kind, detail, sinceMs: before?.sinceMs ?? this.#nowMs() });
    this.#conditions.set(key, rest);
    return true;
  }

  publish(): void {
    // Before the driver has said anything, "no GPUs" would be a lie.
    if (this.#observedAtMs === 0 && this.#conditions.size === 0) return;
    this.inventory.set({
      driverVersion: this.#driverVersion,
      gpus: [...this.#gpus.values()].map((gpu) => ({ ...gpu, ...this.#topology.get(gpu.uuid) })).sort((a, b) => a.index - b.index),
      conditions: new Map([...this.#conditions].map(([key, list]) => [key, [...list]])),
      observedAtMs: this.#observedAtMs,
      mpsDaemons: new Map(this.#mpsDaemons),
    });
  }
}

const conditionOfFault: Partial<Readonly<Record<DriverFaultCode, ConditionKind>>> = {
  'timed-out': 'driver-hung',
  'busy-with-hung-command': 'driver-hung',
  'gpu-lost': 'gpu-lost',
  'unreadable-output': 'listing-unreadable',
  'driver-unavailable': 'driver-unavailable',
};

function kindOfFault(key: string, fault: DriverFault): ConditionKind {
  return conditionOfFault[fault.code] ?? (key === nodeKey ? 'driver-unavailable' : 'listing-unreadable');
}

/** A GPU whose slices were not listed says nothing about them. */
export function hasItsSlices(gpu: ObservedGpu): boolean {
  return gpu.shortfall?.unplaced === undefined;
}
