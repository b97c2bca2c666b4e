import { type AllocationStatus, type DeviceFact, stepAllocation } from '#core/allocation-step';
import type { AllocatedDevice, DesiredAllocation } from '#core/order';
import type { GpuUuid } from '@astrago/shared/domain/ids';
import type { WantedSlice } from '@astrago/shared/domain/mig/slice';
import type { Clock } from '@astrago/shared/runtime/clock';
import type { AllocationSnapshot, NodeState } from './node-state.ts';
import type { Ledger, ProcessLauncher } from './ports.ts';

export interface AllocationKeeperDeps {
  readonly ledger: Ledger;
  readonly launcher: ProcessLauncher;
  readonly state: NodeState;
  readonly clock: Clock;
  readonly device: (device: AllocatedDevice) => DeviceFact;
  readonly environment: (allocation: DesiredAllocation, visible: readonly string[]) => Readonly<Record<string, string>>;
  /** An allocation that waits for its devices longer than this has failed. */
  readonly prepareTimeoutMs: number;
  /** An allocation has let go of its devices. */
  readonly onReleased: () => void;
  readonly log: (facts: object, message: string) => void;
}

/**
 * Starts, stops and forgets the processes of the allocations in the order. Looks at files and /proc only, never at
 * nvidia-smi, so that it goes on while the driver hangs.
 */
export class AllocationKeeper {
  readonly #deps: AllocationKeeperDeps;
  readonly #stoppingSinceMs = new Map<string, number>();
  readonly #preparingSinceMs = new Map<string, number>();
  readonly #statuses = new Map<string, AllocationStatus>();

  constructor(deps: AllocationKeeperDeps) {
    this.#deps = deps;
  }

  /** Devices that a process of ours uses, or may use in a moment. */
  running(gpu: GpuUuid): readonly { readonly id: string; readonly slice: WantedSlice | undefined }[] {
    return this.#deps.ledger.order.allocations.flatMap((allocation) => {
      const status = this.#statuses.get(allocation.id);
      if (status === undefined || status.kind === 'exited' || status.kind === 'failed') return [];
      if (status.kind === 'preparing' && allocation.intent.kind === 'stop') return [];
      return allocation.devices.filter((device) => device.gpu === gpu).map((device) => ({ id: allocation.id, slice: device.slice }));
    });
  }

  async round(): Promise<void> {
    const { ledger, state } = this.#deps;
    const { allocations } = ledger.order;
    const snapshots: AllocationSnapshot[] = [];
    let released = false;
    for (const allocation of allocations) {
      const before = this.#statuses.get(allocation.id);
      const status = await this.#step(allocation);
      this.#statuses.set(allocation.id, status);
      if (isOver(status) && before !== undefined && !isOver(before)) released = true;
      snapshots.push({ id: allocation.id, workload: allocation.workload, status });
    }
    const strays = await this.#forgetUnnamed(new Set(allocations.map((one) => one.id as string)));
    const next = [...snapshots, ...strays];
    if (JSON.stringify(next) !== JSON.stringify(state.allocations.current)) state.allocations.set(next);
    if (released) this.#deps.onReleased();
  }

  async #step(allocation: DesiredAllocation): Promise<AllocationStatus> {
    const { ledger, launcher, clock } = this.#deps;
    const known = ledger.verdict(allocation.id) ?? this.#finished(allocation.id);
    if (known !== undefined) return known;
    const process = await launcher.state(allocation.id);
    const over = process.kind === 'exited' || process.kind === 'lost';
    const stoppingSinceMs = this.#stoppingSinceMs.get(allocation.id);
    const step = stepAllocation({
      intent: allocation.intent,
      process,
      devices: process.kind === 'absent' ? this.#devices(allocation) : { kind: 'coming' },
      verdict: undefined,
      stoppingForMs: stoppingSinceMs === undefined ? undefined : clock.elapsedMs() - stoppingSinceMs,
      leftovers: over && (await launcher.membersOf(allocation.id)).length > 0,
    });
    switch (step.action.kind) {
      case 'start':
        return this.#start(allocation, step.action.visible);
      case 'terminate':
        this.#stoppingSinceMs.set(allocation.id, clock.elapsedMs());
        await launcher.signal(allocation.id, 'SIGTERM');
        break;
      case 'kill':
      case 'clean-up':
        await launcher.signal(allocation.id, 'SIGKILL');
        break;
      case 'none':
        break;
      default:
        step.action satisfies never;
    }
    if (step.status.kind !== 'failed') return step.status;
    // A supervisor of an agent that was killed may be about to start it: then it has not failed.
    if (process.kind === 'absent' && !(await launcher.bar(allocation.id))) return { kind: 'preparing' };
    // A failure that no file tells must not be forgotten by a restart, or the work could start after it was called failed.
    await ledger.putVerdict(allocation.id, step.status);
    return step.status;
  }

  #finished(id: string): AllocationStatus | undefined {
    const status = this.#statuses.get(id);
    return status?.kind === 'exited' ? status : undefined;
  }

  #devices(allocation: DesiredAllocation): DeviceFact {
    const visible: string[] = [];
    for (const device of allocation.devices) {
      const fact = this.#deps.device(device);
      if (fact.kind === 'failed') return fact;
      if (fact.kind === 'coming') return this.#waitLonger(allocation.id);
      visible.push(...fact.visible);
    }
    this.#preparingSinceMs.delete(allocation.id);
    return { kind: 'ready', visible };
  }

  #waitLonger(id: string): DeviceFact {
    const nowMs = this.#deps.clock.elapsedMs();
    const sinceMs = this.#preparingSinceMs.get(id) ?? nowMs;
    this.#preparingSinceMs.set(id, sinceMs);
    if (nowMs - sinceMs < this.#deps.prepareTimeoutMs) return { kind: 'coming' };
    return { kind: 'failed', failure: 'create-failed', detail: `its devices were not ready after ${Math.round(this.#deps.prepareTimeoutMs / 1000)} s` };
  }

  async #start(allocation: DesiredAllocation, visible: readonly string[]): Promise<AllocationStatus> {
    if (allocation.intent.kind !== 'run') return { kind: 'preparing' };
    try {
      await this.#deps.launcher.start({
        allocation: allocation.id,
        command: allocation.intent.command,
        environment: this.#deps.environment(allocation, visible),
        workingDirectory: allocation.intent.workingDirectory,
      });
    } catch (cause) {
      const detail = cause instanceof Error ? cause.message : String(cause);
      this.#deps.log({ allocation: allocation.id, detail }, 'an allocation could not be started');
      const status: AllocationStatus = { kind: 'failed', failure: 'start-failed', detail };
      await this.#deps.ledger.putVerdict(allocation.id, status);
      return status;
    }
    const state = await this.#deps.launcher.state(allocation.id);
    return state.kind === 'running' ? { kind: 'running', startedAtMs: state.startedAtMs } : { kind: 'preparing' };
  }

  /** What ended and is not named any more is forgotten; what still runs is kept and told. */
  async #forgetUnnamed(named: ReadonlySet<string>): Promise<readonly AllocationSnapshot[]> {
    const { launcher, ledger } = this.#deps;
    const strays: AllocationSnapshot[] = [];
    for (const id of new Set([...(await launcher.known()), ...this.#statuses.keys()])) {
      if (named.has(id)) continue;
      const process = await launcher.state(id);
      if (process.kind === 'running') {
        strays.push({ id, workload: '', status: { kind: 'running', startedAtMs: process.startedAtMs } });
        continue;
      }
      await launcher.forget(id);
      await ledger.forget(id);
      this.#statuses.delete(id);
      this.#stoppingSinceMs.delete(id);
      this.#preparingSinceMs.delete(id);
    }
    return strays;
  }
}

function isOver(status: AllocationStatus): boolean {
  return status.kind === 'exited' || status.kind === 'failed';
}
