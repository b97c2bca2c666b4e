import type { GpuUuid } from '@astrago/shared/domain/ids';
import type { Clock } from '@astrago/shared/runtime/clock';
import { type AllocationAction, type AllocationStatus, type DeviceFact, type ProcessFact, stepAllocation } from '#core/allocation-step';
import { type AllocatedDevice, type DesiredAllocation, enforcementClassOf } from '#core/order';
import { type Held, type Holdings, heldOn } from './holdings.ts';
import type { AllocationSnapshot, NodeState } from './node-state.ts';
import { placeKnowledge } from './place-knowledge.ts';
import { type Ledger, type ProcessLauncher, StartFault } from './ports.ts';

export interface AllocationKeeperDeps {
  readonly ledger: Ledger;
  readonly launcher: ProcessLauncher;
  readonly state: NodeState;
  readonly clock: Clock;
  readonly holdings: Holdings;
  readonly device: (id: string, device: AllocatedDevice) => DeviceFact;
  /** Why the devices of an allocation are not there yet. */
  readonly obstacle: (devices: readonly AllocatedDevice[]) => string | undefined;
  /** @param given what the devices need beside being visible. */
  readonly environment: (
    allocation: DesiredAllocation,
    visible: readonly string[],
    given: Readonly<Record<string, string>>,
  ) => Readonly<Record<string, string>>;
  /** Before its processes are killed: whether nothing has to be done for them first, or all of it was. Asks for a round when it was. */
  readonly mayKill: (id: string) => boolean;
  /** An allocation that waits for its devices longer than this has failed. */
  readonly prepareTimeoutMs: number;
  /** An allocation has let go of its devices. */
  readonly onReleased: () => void;
  /** Asks for another round in so many ms, or at once. */
  readonly again: (afterMs: number) => void;
  readonly log: (facts: object, message: string) => void;
}

/** What was killed is gone a moment later. */
const afterKillMs = 20;
/** A command that is still not to be seen after this has hidden its name, and has heard it. */
const unheardMaxMs = 10_000;

/**
 * Starts, stops and forgets the processes of the allocations in the order. Looks at files and /proc only, never at
 * nvidia-smi, so that it goes on while the driver hangs. One allocation's trouble is not another's.
 */
export class AllocationKeeper {
  readonly #deps: AllocationKeeperDeps;
  readonly #stoppingSinceMs = new Map<string, number>();
  readonly #preparingSinceMs = new Map<string, number>();
  readonly #statuses = new Map<string, AllocationStatus>();
  readonly #troubles = new Map<string, string>();
  /** Told to end, and perhaps nobody was there to hear it. */
  readonly #unheard = new Set<string>();

  constructor(deps: AllocationKeeperDeps) {
    this.#deps = deps;
  }

  /** Takes over what an agent before this one has started. Before it, nothing may be destroyed. */
  async adopt(): Promise<void> {
    const { launcher, ledger, holdings } = this.#deps;
    for (const id of await launcher.known()) {
      const launched = await launcher.launched(id);
      if (launched !== undefined && ledger.verdict(id) === undefined) holdings.hold(id, launched.devices);
    }
  }

  /** Allocations that are to run on a GPU and have not been started. */
  waiting(gpu: GpuUuid): readonly Held[] {
    return this.#deps.ledger.order.allocations.flatMap(({ id, devices, intent }) => {
      const status = this.#deps.ledger.verdict(id) ?? this.#statuses.get(id);
      const waits = intent.kind === 'run' && !this.#deps.holdings.has(id) && (status === undefined || status.kind === 'preparing');
      return waits ? heldOn(gpu, id, devices) : [];
    });
  }

  async round(): Promise<void> {
    const { ledger, state } = this.#deps;
    const { allocations } = ledger.order;
    const snapshots = await Promise.all(
      allocations.map(async (allocation): Promise<AllocationSnapshot> => {
        const { id, workload } = allocation;
        const status = await this.#guarded(id, () => this.#step(allocation));
        if (status !== undefined) this.#statuses.set(id, status);
        return {
          id,
          workload,
          status: status ?? this.#statuses.get(id) ?? { kind: 'preparing' },
          enforcement: enforcementClassOf(allocation.devices),
        };
      }),
    );
    const next = [...snapshots, ...(await this.#strays())];
    if (JSON.stringify(next) !== JSON.stringify(state.allocations.current)) state.allocations.set(next);
  }

  /** A round of one allocation; trouble is told once and tried again, and keeps nothing else from its turn. */
  async #guarded<T>(id: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      const result = await work();
      this.#troubles.delete(id);
      return result;
    } catch (cause) {
      const detail = cause instanceof Error ? cause.message : String(cause);
      if (this.#troubles.get(id) !== detail) this.#deps.log({ allocation: id, detail }, 'an allocation cannot be looked after');
      this.#troubles.set(id, detail);
      return undefined;
    }
  }

  async #step(allocation: DesiredAllocation): Promise<AllocationStatus> {
    const { ledger, launcher, clock } = this.#deps;
    const { id } = allocation;
    const known = ledger.verdict(id) ?? this.#finished(id);
    if (known !== undefined) return known;
    const process = await launcher.state(id);
    const stoppingSinceMs = this.#stoppingSinceMs.get(id);
    const step = stepAllocation({
      intent: allocation.intent,
      process,
      // From here to the hold in `#start` nothing is awaited.
      devices: process.kind === 'absent' ? this.#devices(allocation) : { kind: 'coming' },
      verdict: undefined,
      stoppingForMs: stoppingSinceMs === undefined ? undefined : clock.elapsedMs() - stoppingSinceMs,
      leftovers: isOver(process) && (await launcher.membersOf(id)).length > 0,
    });
    if (step.action.kind === 'start') return this.#start(allocation, step.action);
    await this.#act(allocation, step.action);
    if (step.status.kind === 'failed') return this.#settle(id, process, step.status);
    if (step.status.kind === 'exited') this.#release(id);
    return step.status;
  }

  async #act({ id, intent }: DesiredAllocation, action: AllocationAction): Promise<void> {
    const { clock, again } = this.#deps;
    switch (action.kind) {
      case 'terminate':
        this.#stoppingSinceMs.set(id, clock.elapsedMs());
        this.#unheard.add(id);
        again(intent.kind === 'stop' ? intent.graceSeconds * 1000 : 0);
        return this.#tellToEnd(id);
      case 'kill':
      case 'clean-up':
        return this.#kill(id);
      case 'none':
        return this.#unheard.has(id) ? this.#tellToEnd(id) : undefined;
      case 'start':
        return;
      default:
        action satisfies never;
    }
  }

  async #kill(id: string): Promise<void> {
    const { launcher, again, mayKill } = this.#deps;
    if (!mayKill(id)) return;
    await launcher.signal(id, 'SIGKILL');
    again(afterKillMs);
  }

  /** Between the supervisor's signature and its command there may be nobody to hear it: then it is told again. */
  async #tellToEnd(id: string): Promise<void> {
    const { launcher, clock, again } = this.#deps;
    const heard = (await launcher.signal(id, 'SIGTERM')) > 0;
    if (heard || clock.elapsedMs() - (this.#stoppingSinceMs.get(id) ?? 0) > unheardMaxMs) this.#unheard.delete(id);
    else again(afterKillMs);
  }

  async #settle(id: string, process: ProcessFact, status: AllocationStatus): Promise<AllocationStatus> {
    // A supervisor of an agent that was killed may be about to start it: then it has not failed.
    if (process.kind === 'absent' && !(await this.#deps.launcher.bar(id))) return { kind: 'preparing' };
    // A failure that no file tells must not be forgotten by a restart, or the work could start after it was called failed.
    await this.#deps.ledger.putVerdict(id, status);
    this.#release(id);
    return status;
  }

  #release(id: string): void {
    if (this.#deps.holdings.release(id)) this.#deps.onReleased();
  }

  #finished(id: string): AllocationStatus | undefined {
    const status = this.#statuses.get(id);
    return status?.kind === 'exited' ? status : undefined;
  }

  #devices({ id, devices }: DesiredAllocation): DeviceFact {
    const visible: string[] = [];
    const environment: Record<string, string> = {};
    for (const device of devices) {
      const fact = this.#deps.device(id, device);
      if (fact.kind === 'failed') return fact;
      if (fact.kind === 'coming') return this.#waitLonger(id, this.#deps.obstacle(devices));
      visible.push(...fact.visible);
      Object.assign(environment, fact.environment);
    }
    const { state, holdings } = this.#deps;
    const clash = holdings.clashWith(id, devices, placeKnowledge(state));
    if (clash !== undefined) return this.#waitLonger(id, `allocation ${clash} still holds its place`);
    this.#preparingSinceMs.delete(id);
    return { kind: 'ready', visible, environment };
  }

  #waitLonger(id: string, obstacle: string | undefined): DeviceFact {
    const nowMs = this.#deps.clock.elapsedMs();
    const sinceMs = this.#preparingSinceMs.get(id) ?? nowMs;
    this.#preparingSinceMs.set(id, sinceMs);
    if (nowMs - sinceMs < this.#deps.prepareTimeoutMs) return { kind: 'coming' };
    const waited = `its devices were not ready after ${Math.round(this.#deps.prepareTimeoutMs / 1000)} s`;
    return { kind: 'failed', failure: 'create-failed', detail: obstacle === undefined ? waited : `${waited}: ${obstacle}` };
  }

  async #start(
    allocation: DesiredAllocation,
    { visible, environment: given }: Extract<AllocationAction, { kind: 'start' }>,
  ): Promise<AllocationStatus> {
    const { launcher, holdings, log } = this.#deps;
    const { id, workload, devices, intent } = allocation;
    if (intent.kind !== 'run') return { kind: 'preparing' };
    holdings.hold(id, devices);
    try {
      const environment = this.#deps.environment(allocation, visible, given);
      await launcher.start({
        allocation: id,
        workload,
        devices,
        command: intent.command,
        environment,
        workingDirectory: intent.workingDirectory,
        limits: intent.limits,
      });
    } catch (cause) {
      // Anything else, a full disk for one, is this node's trouble and not the submitter's: it is tried again.
      if (!(cause instanceof StartFault)) throw cause;
      log({ allocation: id, detail: cause.message }, 'an allocation could not be started');
      return this.#settle(id, { kind: 'absent' }, { kind: 'failed', failure: 'start-failed', detail: cause.message });
    }
    const state = await launcher.state(id);
    if (state.kind === 'running') return { kind: 'running', startedAtMs: state.startedAtMs };
    // It has ended already; the next round says how.
    this.#deps.again(0);
    return { kind: 'preparing' };
  }

  /** What ended and is not named any more is forgotten; what still runs is kept and told. */
  async #strays(): Promise<readonly AllocationSnapshot[]> {
    const ids = new Set([...(await this.#deps.launcher.known()), ...this.#statuses.keys()]);
    const found = await Promise.all([...ids].filter((id) => !this.#isNamed(id)).map((id) => this.#guarded(id, () => this.#stray(id))));
    return found.filter((snapshot) => snapshot !== undefined).sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  async #stray(id: string): Promise<AllocationSnapshot | undefined> {
    const { launcher, ledger } = this.#deps;
    const process = await launcher.state(id);
    const told = async (status: AllocationStatus): Promise<AllocationSnapshot> => {
      const launched = await launcher.launched(id);
      return { id, workload: launched?.workload ?? '', status, enforcement: enforcementClassOf(launched?.devices ?? []) };
    };
    if (process.kind === 'running') return told({ kind: 'running', startedAtMs: process.startedAtMs });
    if (this.#deps.holdings.has(id) && (await launcher.membersOf(id)).length > 0) {
      await this.#kill(id);
      return told({ kind: 'stopping', startedAtMs: undefined });
    }
    if (this.#isNamed(id)) return undefined;
    await launcher.forget(id);
    await ledger.forget(id);
    for (const memory of [this.#statuses, this.#stoppingSinceMs, this.#preparingSinceMs, this.#troubles, this.#unheard]) memory.delete(id);
    this.#release(id);
    return undefined;
  }

  #isNamed(id: string): boolean {
    return this.#deps.ledger.order.allocations.some((allocation) => allocation.id === id);
  }
}

function isOver(process: ProcessFact): boolean {
  return process.kind === 'exited' || process.kind === 'lost';
}
