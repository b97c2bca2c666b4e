// The life of a workload: state and event to state and changes. The loop around it commits them.
import type { AllocationId, NodeName } from '@astrago/shared/domain/ids';
import type { Change } from './cluster/change.ts';
import type { AllocationFailure, ObservedAllocationState } from './cluster/observed.ts';
import type { AllocationRecord, Eviction, WorkloadRecord } from './cluster/records.ts';
import { hasEnded } from './cluster/records.ts';
import type { EndReason } from './reason.ts';
import type { Placement } from './scheduling/decision.ts';

export type WorkloadEvent =
  | { readonly kind: 'bound'; readonly allocation: AllocationId; readonly placement: Placement; readonly atMs: number }
  /** To other devices, where it begins anew once it has ended here. */
  | {
      readonly kind: 'moved';
      readonly allocation: AllocationId;
      readonly node: NodeName;
      readonly devices: WorkloadRecord['devices'];
      readonly atMs: number;
    }
  | { readonly kind: 'observed'; readonly state: ObservedAllocationState; readonly atMs: number }
  | { readonly kind: 'stop-asked'; readonly atMs: number }
  /** It is stopped to make room and queues again; how often that happened is counted here. */
  | { readonly kind: 'evicted'; readonly eviction: Omit<Eviction, 'count'> }
  | { readonly kind: 'node-lost'; readonly detail: string; readonly atMs: number };

/** A create that fails is tried on other GPUs this often in all. */
export const attemptsMax = 3;

/** The workload after the event; the same object when the event changes nothing. */
export function stepWorkload(workload: WorkloadRecord, event: WorkloadEvent): WorkloadRecord {
  if (hasEnded(workload.phase)) return workload;
  switch (event.kind) {
    case 'bound':
      if (workload.phase !== 'queued') return workload;
      return {
        ...workload,
        phase: 'starting',
        attempts: workload.attempts + 1,
        allocation: event.allocation,
        node: event.placement.node,
        devices: event.placement.devices,
        detail: undefined,
        placedAtMs: event.atMs,
      };
    case 'moved':
      if (workload.phase !== 'running' && workload.phase !== 'starting') return workload;
      return {
        ...workload,
        phase: 'starting',
        allocation: event.allocation,
        node: event.node,
        devices: event.devices,
        detail: undefined,
        placedAtMs: event.atMs,
        startedAtMs: undefined,
      };
    case 'stop-asked':
      if (workload.phase === 'queued') return end(workload, 'cancelled', 'cancelled-in-queue', event.atMs);
      // Whoever asks for the end wins over an eviction: it does not queue again.
      return workload.phase === 'stopping' && workload.eviction === undefined
        ? workload
        : { ...workload, phase: 'stopping', eviction: undefined };
    case 'evicted':
      if (workload.phase !== 'starting' && workload.phase !== 'running') return workload;
      return { ...workload, phase: 'stopping', eviction: { ...event.eviction, count: (workload.eviction?.count ?? 0) + 1 } };
    case 'node-lost':
      if (workload.phase === 'queued') return workload;
      return requeued(workload) ?? end(workload, 'failed', 'node-lost', event.atMs, { detail: event.detail });
    case 'observed':
      return workload.phase === 'queued' ? workload : observe(workload, event.state, event.atMs);
    default:
      return event satisfies never;
  }
}

function observe(workload: WorkloadRecord, state: ObservedAllocationState, atMs: number): WorkloadRecord {
  const stopping = workload.phase === 'stopping';
  switch (state.kind) {
    case 'preparing':
    case 'stopping':
      return workload;
    case 'running': {
      const startedAtMs = workload.startedAtMs ?? state.startedAtMs ?? atMs;
      if (stopping) return workload.startedAtMs === undefined ? { ...workload, startedAtMs } : workload;
      return workload.phase === 'running' ? workload : { ...workload, phase: 'running', startedAtMs };
    }
    case 'exited': {
      const again = requeued(workload);
      if (again !== undefined) return again;
      const facts = { exitCode: state.exitCode, startedAtMs: workload.startedAtMs ?? state.startedAtMs };
      const endedAtMs = state.endedAtMs ?? atMs;
      if (stopping) return end(workload, 'cancelled', 'stopped-by-user', endedAtMs, facts);
      return state.exitCode === 0
        ? end(workload, 'succeeded', 'completed', endedAtMs, facts)
        : end(workload, 'failed', 'command-failed', endedAtMs, { ...facts, detail: `exit code ${state.exitCode}` });
    }
    case 'failed':
      return requeued(workload) ?? fail(workload, state.failure, state.detail, atMs);
    default:
      return state satisfies never;
  }
}

const evictionTexts = {
  reclaimed: 'what it had borrowed was asked back by a guarantee',
  preempted: 'it gave way to work that goes first',
  moved: 'it is to go on elsewhere, so that its place fits other work',
} as const satisfies Readonly<Record<Eviction['cause'], string>>;

/**
 * What was being evicted and has let go of its devices, in whatever way, is as if it had just been submitted; its
 * eviction stays for the record. `undefined` for what is not being evicted.
 */
function requeued(workload: WorkloadRecord): WorkloadRecord | undefined {
  if (workload.phase !== 'stopping' || workload.eviction === undefined) return undefined;
  return {
    ...workload,
    phase: 'queued',
    attempts: 0,
    node: undefined,
    devices: [],
    detail: `it was stopped to make room: ${evictionTexts[workload.eviction.cause]}`,
    placedAtMs: undefined,
    startedAtMs: undefined,
  };
}

function fail(workload: WorkloadRecord, failure: AllocationFailure, detail: string, atMs: number): WorkloadRecord {
  const stopping = workload.phase === 'stopping';
  if (failure === 'never-started') {
    return stopping ? end(workload, 'cancelled', 'stopped-by-user', atMs) : end(workload, 'failed', 'start-failed', atMs, { detail });
  }
  if (stopping && failure !== 'node-rebooted') return end(workload, 'cancelled', 'stopped-by-user', atMs, { detail });
  // The process never ran, so trying elsewhere runs nothing twice.
  const elsewhere = (failure === 'create-failed' || failure === 'gpu-in-use') && workload.attempts < attemptsMax;
  return elsewhere
    ? { ...workload, phase: 'queued', detail, node: undefined, devices: [], placedAtMs: undefined }
    : end(workload, 'failed', failure, atMs, { detail });
}

function end(
  workload: WorkloadRecord,
  phase: 'succeeded' | 'failed' | 'cancelled',
  endReason: EndReason,
  endedAtMs: number,
  facts: { readonly exitCode?: number; readonly startedAtMs?: number | undefined; readonly detail?: string } = {},
): WorkloadRecord {
  return { ...workload, ...facts, phase, endReason, endedAtMs };
}

/**
 * What an observation means for the allocation: it is released once the agent says that nothing of it runs,
 * and told to stop when its workload has ended without it, is evicted, or was asked to.
 */
export function allocationChange(
  allocation: AllocationRecord,
  workload: WorkloadRecord | undefined,
  state: ObservedAllocationState | undefined,
): Change | undefined {
  if (state?.kind === 'exited' || state?.kind === 'failed') return { kind: 'allocation-released', id: allocation.id };
  const wanted =
    workload !== undefined && workload.allocation === allocation.id && (workload.phase === 'starting' || workload.phase === 'running');
  return wanted || allocation.intent === 'stop' ? undefined : { kind: 'allocation', record: { ...allocation, intent: 'stop' } };
}
