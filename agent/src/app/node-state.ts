import type { AllocationStatus } from '#core/allocation-step';
import type { Condition, ConditionKind } from '@astrago/shared/domain/condition';
import type { GpuUuid } from '@astrago/shared/domain/ids';
import { Latest } from '@astrago/shared/runtime/latest';
import type { ObservedGpu, ObservedProcess, Reading } from './ports.ts';

export interface NodeSnapshot {
  readonly driverVersion: string | undefined;
  readonly gpus: readonly ObservedGpu[];
  readonly conditions: ReadonlyMap<string, readonly Condition[]>;
  readonly observedAtMs: number;
}

export interface AllocationSnapshot {
  readonly id: string;
  readonly workload: string;
  readonly status: AllocationStatus;
}

export interface AttributedProcess extends ObservedProcess {
  /** Absent for a stranger. */
  readonly allocation: string | undefined;
}

/** Key of {@link NodeState} conditions that are about the node as a whole. */
export const nodeKey = 'node';

/**
 * What the agent knows now. The loops write it; gRPC and metrics read it and never wait for nvidia-smi.
 * `undefined` until the driver has answered for the first time.
 */
export class NodeState {
  readonly inventory = new Latest<NodeSnapshot>();
  readonly allocations = new Latest<readonly AllocationSnapshot[]>();
  readonly processes = new Latest<{ readonly atMs: number; readonly processes: readonly AttributedProcess[] }>();
  readonly readings = new Latest<{ readonly atMs: number; readonly readings: readonly Reading[] }>();

  readonly #gpus = new Map<GpuUuid, ObservedGpu>();
  readonly #conditions = new Map<string, Condition[]>();
  readonly #nowMs: () => number;
  #driverVersion: string | undefined;
  #listed = false;
  #moment = 0;
  readonly #listedAt = new Map<GpuUuid, number>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Whether the driver has listed the GPUs at least once. */
  get listed(): boolean {
    return this.#listed;
  }

  gpu(uuid: GpuUuid): ObservedGpu | undefined {
    return this.#gpus.get(uuid);
  }

  /** Taken before a listing of all GPUs is asked for, see {@link setAll}. */
  get moment(): number {
    return this.#moment;
  }

  /** A GPU that was listed by itself since `asked` is newer than this listing and stays. */
  setAll(driverVersion: string | undefined, gpus: readonly ObservedGpu[], asked: number): void {
    this.#driverVersion = driverVersion ?? this.#driverVersion;
    this.#listed = true;
    const listed = new Set(gpus.map((gpu) => gpu.uuid));
    for (const uuid of [...this.#gpus.keys()]) if (!listed.has(uuid)) this.#gpus.delete(uuid);
    for (const gpu of gpus) if ((this.#listedAt.get(gpu.uuid) ?? 0) <= asked) this.#gpus.set(gpu.uuid, gpu);
    this.publish();
  }

  setGpu(gpu: ObservedGpu): void {
    this.#moment += 1;
    this.#listedAt.set(gpu.uuid, this.#moment);
    this.#gpus.set(gpu.uuid, gpu);
    this.publish();
  }

  /** Raises a condition, keeping since when it holds, or clears it. */
  setCondition(key: string, kind: ConditionKind, detail: string | undefined): void {
    const list = this.#conditions.get(key) ?? [];
    const before = list.find((condition) => condition.kind === kind);
    if (before?.detail === detail) return;
    const rest = list.filter((condition) => condition.kind !== kind);
    if (detail !== undefined) rest.push({ kind, detail, sinceMs: before?.sinceMs ?? this.#nowMs() });
    this.#conditions.set(key, rest);
    this.publish();
  }

  publish(): void {
    if (!this.#listed && this.#conditions.size === 0) return;
    this.inventory.set({
      driverVersion: this.#driverVersion,
      gpus: [...this.#gpus.values()].sort((a, b) => a.index - b.index),
      conditions: new Map([...this.#conditions].map(([key, list]) => [key, [...list]])),
      observedAtMs: this.#nowMs(),
    });
  }
}
