// What is durable: each record is one row, written whole. Everything else about a cluster is observed.
import type { AllocationId, GpuUuid, NodeName, ReservationName, WorkloadId, WorkloadName, WorkspaceName } from '@astrago/shared/domain/ids';
import type { Layout } from '@astrago/shared/domain/mig/layout';
import type { ProfileName } from '@astrago/shared/domain/mig/profile';
import type { WantedSlice } from '@astrago/shared/domain/mig/slice';
import type { SliceUnits } from '@astrago/shared/domain/units';
import type { EndReason } from '../reason.ts';
import type { RepartitionMode } from '../repartition/when-to-act.ts';

/** What of GPUs a workload asks for. All of it comes from one node, and from GPUs of one model. */
export type GpuAsk =
  | { readonly kind: 'none' }
  /** @property count 1 where absent. */
  | { readonly kind: 'slice'; readonly profile: ProfileName; readonly count?: number | undefined }
  /** Slices of one profile with at least this much memory and this many compute slices, whatever it is called. */
  | { readonly kind: 'least'; readonly memoryMiB: number; readonly computeSlices: number; readonly count: number }
  | { readonly kind: 'whole'; readonly count: number }
  /** A part of one GPU: thousandths of its compute, 1 to 999, and of its memory (as much of it where absent). */
  | { readonly kind: 'share'; readonly by: ShareKind; readonly milli: number; readonly memoryMiB: number | undefined };

/** How a GPU is shared without cutting it. One GPU is shared in one way at a time. */
export type ShareKind = 'mps' | 'time-slicing';

export type Phase = 'queued' | 'starting' | 'running' | 'stopping' | 'succeeded' | 'failed' | 'cancelled';

export interface WorkloadRecord {
  readonly id: WorkloadId;
  readonly name: WorkloadName;
  readonly workspace: WorkspaceName;
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDirectory: string | undefined;
  readonly graceSeconds: number;
  readonly ask: GpuAsk;
  /** Words the model's name must contain, lower case; absent for any. */
  readonly model: string | undefined;
  readonly cpuMilli: number;
  readonly memoryMiB: number;
  readonly priority: number;
  /** Where it may go, and beside what; absent: anywhere. */
  readonly constraints?: Constraints | undefined;
  /** Absent: it runs alone. */
  readonly gang?: Gang | undefined;
  /** How long it says it will run; absent: not said. */
  readonly expectedSeconds?: number | undefined;
  /** What may be done to it once it runs; absent: it is never stopped to make room. */
  readonly interruptible?: Interruptible | undefined;
  /** It is being stopped, or was, to make room for other work, and queues again. Absent: no. */
  readonly eviction?: Eviction | undefined;
  /** Order of submission; never used twice. */
  readonly sequence: number;
  readonly phase: Phase;
  /** How often it was placed; a failed create is tried again elsewhere. */
  readonly attempts: number;
  /** The latest allocation, kept after the end for its output; absent before the first placement. */
  readonly allocation: AllocationId | undefined;
  readonly node: NodeName | undefined;
  readonly devices: readonly AllocatedDevice[];
  readonly endReason: EndReason | undefined;
  readonly detail: string | undefined;
  readonly exitCode: number | undefined;
  readonly submittedAtMs: number;
  readonly placedAtMs: number | undefined;
  readonly startedAtMs: number | undefined;
  readonly endedAtMs: number | undefined;
}

/**
 * `restart`: it may be stopped and begins anew later. `checkpoint`: it may be, and goes on from where it was, because
 * it saves its work when it is told to stop.
 */
export type Interruptible = 'restart' | 'checkpoint';

export interface Constraints {
  /** Labels that the node must carry, with these values. */
  readonly nodeLabels?: Readonly<Record<string, string>> | undefined;
  /** Taints it does not mind, by key, or `key=value`. */
  readonly tolerations?: readonly string[] | undefined;
  /**
   * What its GPUs, or those of its whole gang, should be close by: `nvlink` and `numa` within a node, `node`, or the
   * key of a node label such as `rack`.
   */
  readonly together?: readonly LocalityWish[] | undefined;
  /** What the members of its gang should not have in common: `node`, or the key of a node label. */
  readonly apart?: LocalityWish | undefined;
}

export interface LocalityWish {
  readonly level: string;
  /** Otherwise it is preferred. */
  readonly required: boolean;
}

/** Workloads of one workspace that start together or not at all. */
export interface Gang {
  readonly name: string;
  /** So many start at once or none does; the others join when there is room. */
  readonly least: number;
  /** All that there are. */
  readonly members: number;
}

export interface Eviction {
  readonly cause: 'reclaimed' | 'preempted' | 'moved';
  /** For whom. */
  readonly beneficiary: WorkloadId;
  /** Where room is made, which is kept for the beneficiary as long as it waits. */
  readonly node: NodeName;
  readonly atMs: number;
  /** How often this happened to it. */
  readonly count: number;
}

export interface AllocatedDevice {
  readonly gpu: GpuUuid;
  /** Absent: the whole GPU, or a share of it. */
  readonly slice: WantedSlice | undefined;
  /** Absent: it is not shared. */
  readonly share?: DeviceShare | undefined;
}

/** A part of a GPU that is not cut: thousandths of it, 1 to 999, and what memory that means. */
export interface DeviceShare {
  readonly by: ShareKind;
  readonly milli: number;
  /** Absent where the memory of the GPU is not known. */
  readonly memoryMiB: number | undefined;
}

/** Exists from placement until the agent has said that nothing of it runs any more. */
export interface AllocationRecord {
  readonly id: AllocationId;
  readonly workload: WorkloadId;
  readonly workspace: WorkspaceName;
  readonly node: NodeName;
  readonly devices: readonly AllocatedDevice[];
  readonly units: SliceUnits;
  readonly cpuMilli: number;
  readonly memoryMiB: number;
  readonly intent: 'run' | 'stop';
  /** Beyond what its workspace is guaranteed: it gives way when the guarantee of another is asked for. Absent: no. */
  readonly borrowed?: boolean | undefined;
  /** Absent in records of before it was kept. */
  readonly placedAtMs?: number | undefined;
  /** Of the same workload, which moves: nothing is begun here until nothing is left there. */
  readonly after?: AllocationId | undefined;
}

/** The layout ordered for a GPU; without one it is left as it is. */
export interface LayoutRecord {
  readonly gpu: GpuUuid;
  readonly node: NodeName;
  readonly layout: Layout;
  /** An admin chose it; the scheduler uses its slices but does not recut it. */
  readonly pinned: boolean;
}

export interface NodeRecord {
  readonly name: NodeName;
  /** host:port of its agent, as the last heartbeat said. */
  readonly address: string | undefined;
  readonly cordoned: boolean;
  readonly bootId: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** `key` or `key=value`: only work that tolerates each of them is placed there. */
  readonly taints?: readonly string[] | undefined;
}

/** Nodes that a workspace has for itself for a time. */
export interface ReservationRecord {
  readonly name: ReservationName;
  readonly workspace: WorkspaceName;
  readonly nodes: readonly NodeName[];
  readonly fromMs: number;
  readonly untilMs: number;
}

/** Workspaces form a tree: what a parent has is what its children share. */
export interface WorkspaceRecord {
  readonly name: WorkspaceName;
  /** Absent: directly under the organisation, which has all there is. */
  readonly parent?: WorkspaceName | undefined;
  /** Never more than this. */
  readonly limit: QuotaAmounts;
  /** Its own whenever it is asked for; what others use of it gives way. Absent: nothing is. */
  readonly guaranteed?: QuotaAmounts | undefined;
  /** Its part of what is left over, against its siblings; 1 where absent. */
  readonly weight?: number | undefined;
  readonly budget?: Budget | undefined;
}

/** What is absent is not bounded (in a limit), or nothing (in a guarantee). */
export interface QuotaAmounts {
  /** Compute slices of GPUs of any kind. */
  readonly compute: number | undefined;
  /** Memory slices of GPUs of any kind. */
  readonly memory: number | undefined;
  readonly cpuMilli?: number | undefined;
  readonly memoryMiB?: number | undefined;
  /** The same of the GPUs whose model holds these words, for example `h100`. */
  readonly models?: Readonly<Record<string, { readonly compute?: number | undefined; readonly memory?: number | undefined }>> | undefined;
}

export interface Budget {
  /** Hours of compute slices, whatever they were used for. */
  readonly sliceHours: number;
  readonly period: 'day' | 'week' | 'month';
  /** `hard`: nothing starts beyond it. `soft`: what is beyond it comes last. */
  readonly kind: 'hard' | 'soft';
}

/** What is made of plans for the GPUs of one model. */
export interface PoolRecord {
  readonly model: string;
  readonly repartition: RepartitionMode;
}

export function hasEnded(phase: Phase): boolean {
  return phase === 'succeeded' || phase === 'failed' || phase === 'cancelled';
}
