// What the agent's loops need from the world. Adapters know this file and never each other.

import type { GpuUuid } from '@astrago/shared/domain/ids';
import type { Profile } from '@astrago/shared/domain/mig/profile';
import type { LiveSlice, WantedSlice } from '@astrago/shared/domain/mig/slice';
import type { AllocationStatus } from '#core/allocation-step';
import type { DeedKind } from '#core/enforcement/enforce';
import type { FindingKind } from '#core/enforcement/finding';
import type { AllocatedDevice, Order, ResourceLimits } from '#core/order';

/** One GPU as the driver lists it at one moment. */
export interface ObservedGpu {
  readonly uuid: GpuUuid;
  readonly index: number;
  /** Product name as printed. */
  readonly model: string;
  readonly pciBusId: string;
  /** Whole board; absent when the driver did not say. */
  readonly memoryMiB: number | undefined;
  readonly migCapable: boolean;
  readonly migEnabled: boolean;
  /** The mode after the next reset, where it differs from the current one. */
  readonly migPending: boolean | undefined;
  /** From the device's own listing; empty when it cannot be cut, or did not say yet. */
  readonly profiles: readonly Profile[];
  readonly slices: readonly LiveSlice[];
  /** GPUs of this machine with the same number reach each other over NVLink; absent: not known, or none. */
  readonly nvlinkGroup?: number | undefined;
  /** As the kernel numbers them; absent: not known. */
  readonly numaNode?: number | undefined;
  /** Absent where everything was listed that there is. */
  readonly shortfall?: Shortfall | undefined;
}

/** What of a GPU could not be listed. */
export interface Shortfall {
  /** Of the commands that failed; never empty. */
  readonly faults: readonly DriverFault[];
  /**
   * Absent where the slices are listed. Else they are not known as they would have to be to cut anything, and these are named
   * all the same; empty says nothing.
   */
  readonly unplaced?: readonly UnplacedSlice[] | undefined;
}

/** A slice that the driver names without saying where it lies. */
export interface UnplacedSlice {
  /** Of the compute instance: `1c.3g.40gb` for a part of its GPU instance. */
  readonly profile: string | undefined;
  readonly gpuInstanceId: number | undefined;
  readonly computeInstanceId: number | undefined;
  readonly migUuid: string | undefined;
}

export interface ObservedNode {
  readonly driverVersion: string | undefined;
  readonly gpus: readonly ObservedGpu[];
}

/** How a process uses its GPU. A client of MPS does so through the server, which belongs to no client. */
export type ProcessType = 'compute' | 'graphics' | 'compute-and-graphics' | 'mps-client' | 'mps-server';

export interface ObservedProcess {
  readonly gpuUuid: GpuUuid;
  /** Absent on a GPU that is not cut. */
  readonly gpuInstanceId: number | undefined;
  readonly computeInstanceId: number | undefined;
  readonly pid: number;
  readonly name: string;
  readonly usedMemoryMiB: number | undefined;
  /** Absent where the driver does not tell. */
  readonly type?: ProcessType | undefined;
}

/** A value that was not measured is absent. */
export interface Reading {
  readonly gpuUuid: GpuUuid;
  readonly utilizationRatio: number | undefined;
  readonly memoryUsedMiB: number | undefined;
  readonly temperatureCelsius: number | undefined;
  readonly powerWatts: number | undefined;
}

export type DriverFaultCode =
  /** Did not end within its time; its process may still be there. */
  | 'timed-out'
  /** An earlier command on this GPU has not ended, so none was started. */
  | 'busy-with-hung-command'
  | 'gpu-in-use'
  | 'insufficient-resources'
  | 'unknown-profile'
  | 'not-found'
  | 'needs-reset'
  | 'no-permission'
  | 'gpu-lost'
  /** No driver, no library, no nvidia-smi. */
  | 'driver-unavailable'
  | 'unreadable-output'
  | 'failed';

/** nvidia-smi did not do what it was asked. */
export class DriverFault extends Error {
  override name = 'DriverFault';
  readonly code: DriverFaultCode;
  /** What it printed, both streams, shortened. */
  readonly output: string;
  constructor(code: DriverFaultCode, facts: { readonly command: readonly string[]; readonly output?: string; readonly cause?: unknown }) {
    super(`${code}: nvidia-smi ${facts.command.join(' ')}${facts.output ? `: ${facts.output.trim().split('\n')[0]}` : ''}`, {
      cause: facts.cause,
    });
    this.code = code;
    this.output = facts.output ?? '';
  }
}

export type ModeChange = 'done' | 'pending';

/** The GPUs of this machine. Every method throws {@link DriverFault}, and every one ends within its time limit. */
export interface GpuDriver {
  /** All GPUs, fresh; of one that could not be listed in full what there is, with its {@link Shortfall}. */
  observe(signal: AbortSignal): Promise<ObservedNode>;
  /** One GPU, fresh, its slices in full; names no other GPU on its command lines (I5). */
  observeGpu(gpu: GpuUuid, signal: AbortSignal): Promise<ObservedGpu>;
  /** Compute processes of all GPUs with the instance they are in. */
  observeProcesses(signal: AbortSignal): Promise<readonly ObservedProcess[]>;
  /** `pending` when only a reset makes it so. */
  setMigMode(gpu: GpuUuid, enabled: boolean, signal: AbortSignal): Promise<ModeChange>;
  resetGpu(gpu: GpuUuid, signal: AbortSignal): Promise<void>;
  /** Creates the GPU instance at its start and its default compute instance. May leave the one without the other: re-list. */
  createSlice(gpu: GpuUuid, slice: WantedSlice, signal: AbortSignal): Promise<void>;
  /** Creates the default compute instance of a GPU instance that has none. */
  completeSlice(gpu: GpuUuid, gpuInstanceId: number, signal: AbortSignal): Promise<void>;
  /** Destroys compute instances and then the GPU instance. */
  destroySlice(gpu: GpuUuid, gpuInstanceId: number, signal: AbortSignal): Promise<void>;
}

/** What became of a launched command. */
export type ProcessState =
  | { readonly kind: 'absent' }
  | { readonly kind: 'running'; readonly pid: number; readonly startedAtMs: number }
  | { readonly kind: 'exited'; readonly exitCode: number; readonly startedAtMs: number | undefined; readonly endedAtMs: number }
  /** It was started, its supervisor is gone, and no exit code was left. */
  | { readonly kind: 'lost'; readonly startedAtMs: number | undefined; readonly rebooted: boolean };

export interface LaunchRequest {
  readonly allocation: string;
  readonly workload: string;
  /** What it holds as long as a process of it lives, whatever later orders say. */
  readonly devices: readonly AllocatedDevice[];
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Absent: a directory of the allocation's own. */
  readonly workingDirectory: string | undefined;
  readonly limits?: ResourceLimits | undefined;
}

/** What an allocation was started with. */
export interface Launched extends LaunchRequest {
  readonly workingDirectory: string;
  /**
   * What every command of it is run through, so that it has the limits and the user of the allocation: the words before
   * the command, and the environment for them. Absent: the command is run as it is.
   */
  readonly wrapped?: { readonly words: readonly string[]; readonly environment: Readonly<Record<string, string>> } | undefined;
}

/** The command could not be started at all; the message is for the submitter. */
export class StartFault extends Error {
  override name = 'StartFault';
}

export interface Output {
  /** Of all that was ever written; offsets count from the first byte of it, also where that is gone. */
  readonly size: number;
  /** In order. Where a piece does not begin where the one before ended, what lies between was given up for its size. */
  read(end: number): AsyncIterable<OutputPiece>;
}

export interface OutputPiece {
  readonly offset: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** The workload processes of this machine. They outlive the agent; starting is idempotent by allocation. */
export interface ProcessLauncher {
  /** Starts the command unless this allocation was ever started before; throws {@link StartFault} when it cannot be started at all. */
  start(request: LaunchRequest): Promise<void>;
  /** Makes sure that the command of an allocation never starts; `false` when it did. */
  bar(allocation: string): Promise<boolean>;
  state(allocation: string): Promise<ProcessState>;
  /** `undefined` for what was never to be started. */
  launched(allocation: string): Promise<Launched | undefined>;
  /** Signals every process of the allocation, its supervisor excepted; how many could hear it. */
  signal(allocation: string, signal: 'SIGTERM' | 'SIGKILL'): Promise<number>;
  /** Live processes of the allocation, its supervisor excepted. */
  membersOf(allocation: string): Promise<readonly number[]>;
  /** Live processes of all allocations, supervisors included. */
  pidsByAllocation(): Promise<ReadonlyMap<string, readonly number[]>>;
  /** Removes what is kept of an ended allocation; its output stays readable for a while. */
  forget(allocation: string): Promise<void>;
  /** Ids of all allocations of which something is kept. */
  known(): Promise<readonly string[]>;
  /** Output from `offset` on, also of a forgotten allocation; `undefined` when there is none. */
  output(allocation: string, offset: number): Promise<Output | undefined>;
}

/** What survives the agent: the order, what was decided for good, and a journal of steps on GPUs. */
export interface Ledger {
  readonly order: Order;
  /** Throws when it could not be made durable; the old order is kept then. */
  putOrder(order: Order): Promise<void>;
  /** Ends of allocations that no file of the launcher tells; kept until forgotten. */
  verdict(allocation: string): AllocationStatus | undefined;
  putVerdict(allocation: string, status: AllocationStatus): Promise<void>;
  forget(allocation: string): Promise<void>;
  /** Durable before the step is taken. */
  intent(gpu: GpuUuid, step: string): Promise<void>;
  outcome(gpu: GpuUuid, step: string, result: string): Promise<void>;
  /** Durable before a process is signalled, and before the deed is told. */
  deed(action: EnforcementAction): Promise<void>;
}

/** Something that was found about a process, and what was done about it. */
export interface EnforcementAction {
  /** Wall clock, ms since the epoch. */
  readonly atMs: number;
  readonly finding: FindingKind;
  readonly deed: DeedKind;
  readonly gpu: GpuUuid;
  readonly pid: number;
  /** Clock ticks since boot; absent for a process that could not be seen. */
  readonly startTime: string | undefined;
  readonly allocation: string | undefined;
  /** For a person; never parsed. */
  readonly detail: string;
}
