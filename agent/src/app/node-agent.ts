import type { GpuUuid } from '@astrago/shared/domain/ids';
import type { Clock } from '@astrago/shared/runtime/clock';
import { Loop } from '@astrago/shared/runtime/loop';
import { type Acceptance, accept } from '#core/accept';
import type { AllocationStatus } from '#core/allocation-step';
import type { Order } from '#core/order';
import { AllocationKeeper, type AllocationKeeperDeps } from './allocation-keeper.ts';
import type { Attribution } from './attribution.ts';
import type { ComputeModes, ModeMemory } from './compute-modes.ts';
import { GpuWorker } from './gpu-worker.ts';
import { Holdings } from './holdings.ts';
import type { LayoutAuthority } from './mig-management.ts';
import { withMpsClients } from './mps-clients.ts';
import type { MpsControl } from './mps-control.ts';
import { type NodeState, nodeKey } from './node-state.ts';
import { placeKnowledge } from './place-knowledge.ts';
import { DriverFault, type GpuDriver, type Launched, type Ledger, type ProcessLauncher } from './ports.ts';
import { sample } from './sampler.ts';
import { Sharing } from './sharing.ts';
import type { TelemetrySource } from './telemetry-source.ts';
import { Collectors } from './telemetry-status.ts';
import { WakingLoop } from './waking-loop.ts';

export interface NodeAgentDeps {
  readonly driver: GpuDriver;
  readonly ledger: Ledger;
  readonly launcher: ProcessLauncher;
  readonly attribution: Pick<Attribution, 'attribute'>;
  readonly mps: MpsControl;
  readonly computeModes: ComputeModes;
  readonly modes: ModeMemory;
  readonly clock: Clock;
  readonly state: NodeState;
  /** Is told how collecting goes. */
  readonly collectors?: Collectors;
  readonly environment: AllocationKeeperDeps['environment'];
  readonly inventoryPeriodMs: number;
  readonly telemetry: TelemetrySource;
  readonly detailPeriodMs: number;
  readonly prepareTimeoutMs: number;
  readonly strangersTimeoutMs: number;
  /** See `SharingDeps`. */
  readonly partingMs?: number;
  readonly log: (facts: object, message: string) => void;
  /** Asked before each step on a GPU. Absent: always. */
  readonly mayChangeLayouts?: (() => LayoutAuthority) | undefined;
}

export type ApplyAnswer = Acceptance | { readonly kind: 'ledger-unavailable'; readonly detail: string };

/** Work that this agent started tells when it ends; adopted work is looked at this often. */
const keepPeriodMs = 1000;

/** The loops of one node: keep allocations, cut GPUs (each GPU for itself), look around, sample. */
export class NodeAgent {
  readonly state: NodeState;
  readonly #deps: NodeAgentDeps;
  readonly #holdings = new Holdings();
  readonly #collectors: Collectors;
  readonly #sharing: Sharing;
  readonly #keeper: AllocationKeeper;
  readonly #keep: WakingLoop;
  readonly #inventory: Loop;
  readonly #workers = new Map<GpuUuid, { readonly worker: GpuWorker; readonly loop: WakingLoop }>();
  readonly #running = new Set<Promise<void>>();
  #signal: AbortSignal | undefined;
  #applying: Promise<unknown> = Promise.resolve();

  constructor(deps: NodeAgentDeps) {
    this.#deps = deps;
    this.state = deps.state;
    this.#collectors = deps.collectors ?? new Collectors(deps.clock);
    this.#keeper = new AllocationKeeper({
      ...deps,
      holdings: this.#holdings,
      device: (id, device) =>
        this.#sharing.fact(id, device, this.#workers.get(device.gpu)?.worker.device(id, device.slice) ?? { kind: 'coming' }),
      obstacle: (devices) =>
        devices
          .map((device) => this.#workers.get(device.gpu)?.worker.obstacle ?? this.#sharing.obstacle(device))
          .find((text) => text !== undefined),
      mayKill: (id) => this.#sharing.mayKill(id),
      onReleased: () => {
        this.#sharing.notice();
        this.#nudgeWorkers();
      },
      again: (afterMs) => this.#keep.wakeIn(afterMs),
    });
    this.#sharing = new Sharing({
      ...deps,
      control: deps.mps,
      holdings: this.#holdings,
      order: () => this.order,
      waiting: (gpu) => this.#keeper.waiting(gpu),
      pids: () => deps.launcher.pidsByAllocation(),
      onProgress: () => this.#keep.nudge(),
      onFreed: () => this.#nudgeAll(),
      loop: (once) => this.#runLoop(once, 'sharing a device failed'),
    });
    this.#keep = this.#wakingLoop(
      async () => {
        await this.#keeper.round();
        return undefined;
      },
      keepPeriodMs,
      'looking after allocations failed',
    );
    this.#inventory = this.#loop((signal) => this.#lookAround(signal), deps.inventoryPeriodMs, 'listing the GPUs failed');
  }

  /** Accepts an order into the ledger, or says why not. Carrying it out is the loops' work. */
  apply(order: Order): Promise<ApplyAnswer> {
    const next = this.#applying.then(() => this.#applyAlone(order));
    this.#applying = next.catch(() => undefined);
    return next;
  }

  get order(): Order {
    return this.#deps.ledger.order;
  }

  /** Something ended, or files changed. */
  nudge(): void {
    this.#keep.nudge();
  }

  /** There may be steps to take on GPUs that were not allowed before. */
  reconsiderLayouts(): void {
    this.#nudgeWorkers();
  }

  /** Whether an allocation may still write output; one that was just ordered will. */
  mayGrow(id: string): boolean {
    const status = this.state.allocations.current?.find((one) => one.id === id)?.status;
    return status === undefined ? this.order.allocations.some((allocation) => allocation.id === id) : !isOver(status);
  }

  /** What a running allocation was started with, for a further command beside it; `undefined` when it does not run here. */
  async execTarget(id: string): Promise<Launched | undefined> {
    const { launcher } = this.#deps;
    return (await launcher.state(id)).kind === 'running' ? launcher.launched(id) : undefined;
  }

  /** Before a process is killed that may be an MPS client: lets its server drop it. Ends within seconds, and never fails. */
  endMpsClient(pid: number, gpu: GpuUuid): Promise<'ended' | 'unknown'> {
    return this.#sharing.endClient(pid, gpu);
  }

  /** An MPS daemon of ours is on a GPU or a slice of it, also one that no allocation holds any more. */
  servesMps(gpu: GpuUuid): boolean {
    return this.#sharing.processesOn(gpu).length > 0;
  }

  /** Runs until the signal is aborted. Workloads go on. */
  async run(signal: AbortSignal): Promise<void> {
    // What an earlier agent started must be known before anything is cut.
    await this.#keeper.adopt();
    const mpsDevices = await this.#deps.mps.devices();
    this.#signal = signal;
    this.#sharing.adopt(mpsDevices);
    for (const loop of [this.#inventory, this.#keep]) this.#track(loop.run(signal));
    const { attribution } = this.#deps;
    const attribute: Attribution['attribute'] = (seen) => attribution.attribute(withMpsClients(seen, this.#sharing.clients));
    this.#track(sample({ ...this.#deps, attribution: { attribute } }, signal));
    this.#ensureWorkers();
    await new Promise<void>((resolve) => (signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), { once: true })));
    await Promise.all(this.#running);
  }

  async #applyAlone(order: Order): Promise<ApplyAnswer> {
    const { ledger, state } = this.#deps;
    const answer = accept(order, ledger.order, {
      ...placeKnowledge(state),
      hasEnded: (id) => isOver(ledger.verdict(id) ?? state.allocations.current?.find((one) => one.id === id)?.status),
    });
    if (answer.kind !== 'accepted') return answer;
    try {
      await ledger.putOrder(order);
    } catch (cause) {
      return { kind: 'ledger-unavailable', detail: cause instanceof Error ? cause.message : String(cause) };
    }
    this.#ensureWorkers();
    this.#sharing.notice();
    this.#keep.nudge();
    this.#nudgeWorkers();
    state.publish();
    return answer;
  }

  /** One worker for each GPU that an order ever named. */
  #ensureWorkers(): void {
    const signal = this.#signal;
    if (signal === undefined) return;
    for (const uuid of gpusOf(this.order)) {
      if (this.#workers.has(uuid)) continue;
      const worker = new GpuWorker(uuid, {
        ...this.#deps,
        holdings: this.#holdings,
        waiting: (gpu) => this.#keeper.waiting(gpu),
        sharedUses: (gpu) => this.#sharing.usesOf(gpu),
        mpsProcesses: (gpu) => this.#sharing.processesOn(gpu),
        onProgress: () => this.#keep.nudge(),
      });
      this.#workers.set(uuid, { worker, loop: this.#runLoop((until) => worker.work(until), 'cutting a GPU failed') });
    }
  }

  /** A loop that lasts as long as this agent. */
  #runLoop(once: (signal: AbortSignal) => Promise<number | undefined>, failureText: string): WakingLoop {
    const loop = this.#wakingLoop(once, this.#deps.inventoryPeriodMs, failureText);
    if (this.#signal !== undefined) this.#track(loop.run(this.#signal));
    return loop;
  }

  #nudgeWorkers(): void {
    for (const { loop } of this.#workers.values()) loop.nudge();
  }

  async #lookAround(signal: AbortSignal): Promise<void> {
    const { driver, state, log } = this.#deps;
    const asked = state.moment;
    try {
      const node = await this.#collectors.watch('inventory', () => driver.observe(signal));
      state.setAll(node.driverVersion, node.gpus, asked);
      this.#sharing.notice();
      const listed = new Set(node.gpus.map((gpu) => gpu.uuid));
      // Not awaited together with the rest: one that hangs must not make this listing old.
      this.#nudgeAll();
      const absent = new Set([...state.known, ...gpusOf(this.order)].filter((uuid) => !listed.has(uuid)));
      await Promise.all([...absent].map((uuid) => this.#askWhy(uuid, signal)));
    } catch (fault) {
      if (!(fault instanceof DriverFault)) throw fault;
      state.noteFault(nodeKey, fault);
      log({ code: fault.code, fault: fault.message }, 'the driver did not list the GPUs');
    }
    this.#nudgeAll();
  }

  /** Lost, hung or unreadable: the driver says it only when asked about this one. */
  async #askWhy(uuid: GpuUuid, signal: AbortSignal): Promise<void> {
    try {
      this.state.setGpu(await this.#deps.driver.observeGpu(uuid, signal));
    } catch (fault) {
      if (!(fault instanceof DriverFault)) throw fault;
      this.state.noteFault(uuid, fault);
    }
  }

  #nudgeAll(): void {
    this.#nudgeWorkers();
    this.#keep.nudge();
  }

  #loop(once: (signal: AbortSignal) => Promise<void>, periodMs: number, failureText: string): Loop {
    const onFailure = (failure: unknown): void =>
      this.#deps.log({ failure: failure instanceof Error ? failure.message : String(failure) }, failureText);
    return new Loop({ once, periodMs, clock: this.#deps.clock, onFailure });
  }

  #wakingLoop(once: (signal: AbortSignal) => Promise<number | undefined>, periodMs: number, failureText: string): WakingLoop {
    return new WakingLoop({ once, clock: this.#deps.clock, makeLoop: (round) => this.#loop(round, periodMs, failureText) });
  }

  #track(running: Promise<void>): void {
    this.#running.add(running);
    void running.finally(() => this.#running.delete(running));
  }
}

function gpusOf(order: Order): ReadonlySet<GpuUuid> {
  return new Set([
    ...order.gpus.map((gpu) => gpu.uuid),
    ...order.allocations.flatMap(({ devices }) => devices.map((device) => device.gpu)),
  ]);
}

function isOver(status: AllocationStatus | undefined): boolean {
  return status?.kind === 'exited' || status?.kind === 'failed';
}
