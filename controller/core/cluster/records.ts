// What is durable: each record is one row, written whole. Everything else about a cluster is observed.
import type { AllocationId, GpuUuid, NodeName, WorkloadId, WorkloadName, WorkspaceName } from '@astrago/shared/domain/ids';
import type { Layout } from '@astrago/shared/domain/mig/layout';
import type { ProfileName } from '@astrago/shared/domain/mig/profile';
import type { WantedSlice } from '@astrago/shared/domain/mig/slice';
import type { SliceUnits } from '@astrago/shared/domain/units';
import type { EndReason } from '../reason.ts';
import type { RepartitionMode } from '../repartition/when-to-act.ts';

/** What of GPUs a workload asks for. */
export type GpuAsk =
  | { readonly kind: 'none' }
  | { readonly kind: 'slice'; readonly profile: ProfileName }
  | { readonly kind: 'whole'; readonly count: number };

export type Phase = 'queued' | 'starting' | 'running' | 'stopping' | 'succeeded' | 'failed' | 'cancelled';

export interface WorkloadRecord {
  readonly id: WorkloadId;
  readonly name: WorkloadName;
  readonly workspace: WorkspaceName;
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDirectory: string | undefined;
  readonly graceSeconds: number;
  /** It may be stopped and begun anew elsewhere to make room; absent as false. */
  readonly restartable?: boolean;
  readonly ask: GpuAsk;
  /** Words the model's name must contain, lower case; absent for any. */
  readonly model: string | undefined;
  readonly cpuMilli: number;
  readonly memoryMiB: number;
  readonly priority: number;
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

export interface AllocatedDevice {
  readonly gpu: GpuUuid;
  /** Absent: the whole GPU. */
  readonly slice: WantedSlice | undefined;
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
}

export interface WorkspaceRecord {
  readonly name: WorkspaceName;
  /** Slice units; absent is unlimited. */
  readonly limit: { readonly compute: number | undefined; readonly memory: number | undefined };
}

/** What is made of plans for the GPUs of one model. */
export interface PoolRecord {
  readonly model: string;
  readonly repartition: RepartitionMode;
}

export function hasEnded(phase: Phase): boolean {
  return phase === 'succeeded' || phase === 'failed' || phase === 'cancelled';
}
