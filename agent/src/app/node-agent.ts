import { accept, type Acceptance } from '#core/accept';
import type { AllocatedDevice, Order } from '#core/order';
import type { GpuUuid } from '@astrago/shared/domain/ids';
import type { Clock } from '@astrago/shared/runtime/clock';
import { Loop } from '@astrago/shared/runtime/loop';
import { AllocationKeeper, type AllocationKeeperDeps } from './allocation-keeper.ts';
import { GpuWorker } from './gpu-worker.ts';
import { type AttributedProcess, NodeState, nodeKey } from './node-state.ts';
import { DriverFault, type GpuDriver, type Ledger, type ProcessLauncher } from './ports.ts';

export interface NodeAgentDeps {
  readonly driver: GpuDriver;
  readonly ledger: Ledger;
  readonly launcher: ProcessLauncher;
  readonly clock: Clock;
  readonly state: NodeState;
  readonly environment: AllocationKeeperDeps['environment'];
  readonly inventoryPeriodMs: number;
  readonly samplePeriodMs: number;
  readonly prepareTimeoutMs: number;
  readonly log: (facts: object, message: string) => void;
}

export type ApplyAnswer = Acceptance | { readonly kind: 'ledger-unavailable'; readonly detail: string };

/** How often files of running work are looked at without being told. */
const keepPeriodMs = 250;

/** The loops of one node: keep allocations, cut GPUs (each GPU for itself), look around, sample. */
export class NodeAgent {
  readonly state: NodeState;
  readonly #deps: NodeAgentDeps;
  readonly #keeper: AllocationKeeper;
  readonly #keepLoop: Loop;
  readonly #inventoryLoop: Loop;
  readonly #sampleLoop: Loop;
  readonly #workers = new Map<GpuUuid, { readonly worker: GpuWorker; readonly loop: Loop }>();
  readonly #running = new Set<Promise<void>>();
  #signal: AbortSignal | undefined;
  #applying: Promise<unknown> = Promise.resolve();

  constructor(deps: NodeAgentDeps) {
    this.#deps = deps;
    this.state = deps.state;
    this.#keeper = new AllocationKeeper({
      ...deps,
      device: (device) => this.#deviceFact(device),
      onReleased: () => this.#nudgeWorkers(),
    });
    this.#keepLoop = this.#loop(() => this.#keeper.round(), keepPeriodMs, 'looking after allocations failed');
    this.#inventoryLoop = this.#loop((signal) => this.#inventory(signal), deps.inventoryPeriodMs, 'listing the GPUs failed');
    this.#sampleLoop = this.#loop((signal) => this.#sample(signal), deps.samplePeriodMs, 'sampling the GPUs failed');
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
    this.#keepLoop.nudge();
  }

  /** Where a further command of a running allocation runs; `undefined` when it does not run here. */
  async execTarget(id: string, inherited: Readonly<Record<string, string>>): Promise<{ readonly environment: Readonly<Record<string, string>>; readonly workingDirectory: string } | undefined> {
    const allocation = this.order.allocations.find((one) => one.id === id);
    if (allocation?.intent.kind !== 'run' || (await this.#deps.launcher.state(id)).kind !== 'running') return undefined;
    const visible = allocation.devices.flatMap((device) => {
      const fact = this.#deviceFact(device);
      return fact.kind === 'ready' ? fact.visible : [];
    });
    return { environment: { ...inherited, ...this.#deps.environment(allocation, visible) }, workingDirectory: allocation.intent.workingDirectory ?? this.#deps.launcher.directoryOf(id) };
  }

  /** Runs until the signal is aborted. Workloads go on. */
  async run(signal: AbortSignal): Promise<void> {
    this.#signal = signal;
    for (const loop of [this.#inventoryLoop, this.#keepLoop, this.#sampleLoop]) this.#track(loop.run(signal));
    this.#ensureWorkers();
    await new Promise<void>((resolve) => (signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), { once: true })));
    await Promise.all(this.#running);
  }

  async #applyAlone(order: Order): Promise<ApplyAnswer> {
    const answer = accept(order, this.#deps.ledger.order);
    if (answer.kind !== 'accepted') return answer;
    try {
      await this.#deps.ledger.putOrder(order);
    } catch (cause) {
      return { kind: 'ledger-unavailable', detail: cause instanceof Error ? cause.message : String(cause) };
    }
    this.#ensureWorkers();
    this.#keepLoop.nudge();
    this.#nudgeWorkers();
    this.state.publish();
    return answer;
  }

  #ensureWorkers(): void {
    if (this.#signal === undefined) return;
    for (const { uuid } of this.#deps.ledger.order.gpus) {
      if (this.#workers.has(uuid)) continue;
      const worker = new GpuWorker(uuid, {
        ...this.#deps,
        running: (gpu) => this.#keeper.running(gpu),
        onProgress: () => this.#keepLoop.nudge(),
      });
      const once = async (signal: AbortSignal): Promise<void> => {
        await worker.work(signal);
        this.#keepLoop.nudge();
      };
      const loop = this.#loop(once, this.#deps.inventoryPeriodMs, 'cutting a GPU failed');
      this.#workers.set(uuid, { worker, loop });
      this.#track(loop.run(this.#signal));
    }
  }

  #nudgeWorkers(): void {
    for (const { loop } of this.#workers.values()) loop.nudge();
  }

  #deviceFact(device: AllocatedDevice): ReturnType<GpuWorker['device']> {
    const worker = this.#workers.get(device.gpu)?.worker;
    if (worker !== undefined) return worker.device(device.slice);
    const gpu = this.state.gpu(device.gpu);
    if (gpu === undefined && this.state.listed) return { kind: 'failed', failure: 'device-lost', detail: `${device.gpu} is not on this node` };
    return gpu !== undefined && device.slice === undefined && !gpu.migEnabled ? { kind: 'ready', visible: [gpu.uuid] } : { kind: 'coming' };
  }

  async #inventory(signal: AbortSignal): Promise<void> {
    const asked = this.state.moment;
    try {
      const node = await this.#deps.driver.observe(signal);
      this.state.setAll(node.driverVersion, node.gpus, asked);
      this.state.setCondition(nodeKey, 'driver-unavailable', undefined);
      this.state.setCondition(nodeKey, 'driver-hung', undefined);
    } catch (fault) {
      if (!(fault instanceof DriverFault)) throw fault;
      const hung = fault.code === 'timed-out' || fault.code === 'busy-with-hung-command';
      this.state.setCondition(nodeKey, hung ? 'driver-hung' : 'driver-unavailable', fault.message);
      this.#deps.log({ code: fault.code, fault: fault.message }, 'the driver did not list the GPUs');
    }
    this.#nudgeWorkers();
    this.#keepLoop.nudge();
  }

  async #sample(signal: AbortSignal): Promise<void> {
    const { driver, launcher, clock } = this.#deps;
    const [readings, processes, pids] = await Promise.all([driver.readings(signal), driver.observeProcesses(signal), launcher.pidsByAllocation()]);
    const byPid = new Map([...pids].flatMap(([allocation, members]) => members.map((pid) => [pid, allocation] as const)));
    const attributed = processes.map((process): AttributedProcess => ({ ...process, allocation: byPid.get(process.pid) }));
    const atMs = clock.nowMs();
    this.state.readings.set({ atMs, readings });
    this.state.processes.set({ atMs, processes: attributed });
  }

  #loop(once: (signal: AbortSignal) => Promise<void>, periodMs: number, failureText: string): Loop {
    const onFailure = (failure: unknown): void => this.#deps.log({ failure: failure instanceof Error ? failure.message : String(failure) }, failureText);
    return new Loop({ once, periodMs, clock: this.#deps.clock, onFailure });
  }

  #track(running: Promise<void>): void {
    this.#running.add(running);
    void running.finally(() => this.#running.delete(running));
  }
}
