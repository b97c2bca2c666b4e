// One node's loops on a simulated machine, without gRPC: what the loop tests are written in.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AllocationId, type GpuUuid, parseAllocationId, parseGpuUuid } from '@astrago/shared/domain/ids';
import { formatLayout, type Layout } from '@astrago/shared/domain/mig/layout';
import { parseSlice, type WantedSlice } from '@astrago/shared/domain/mig/slice';
import { systemClock } from '@astrago/shared/runtime/clock';
import { createMachine, type Faults } from '@astrago/sim';
import type { AllocationStatus } from '#core/allocation-step';
import type { AllocatedDevice, DesiredAllocation, Order, Share } from '#core/order';
import { Attribution } from '../app/attribution.ts';
import { type ApplyAnswer, NodeAgent, type NodeAgentDeps } from '../app/node-agent.ts';
import { NodeState, nodeKey } from '../app/node-state.ts';
import type { GpuDriver } from '../app/ports.ts';
import { FileLedger } from '../ledger/file-ledger.ts';
import { LocalMpsControl } from '../mps/control.ts';
import { FileModeMemory } from '../mps/mode-memory.ts';
import { workloadEnvironment } from '../processes/device-environment.ts';
import { LocalLauncher } from '../processes/launcher.ts';
import { processInspector } from '../processes/process-inspector.ts';
import { createSmiDriver, type SmiDriverOptions } from '../smi/driver.ts';
import { Scratch } from './scratch.ts';
import { until } from './until.ts';

export interface BenchOptions {
  readonly model?: string;
  readonly gpuCount?: number;
  readonly deps?: Partial<NodeAgentDeps>;
  readonly limits?: NonNullable<SmiDriverOptions['limits']>;
  /** Absent: beside the machine's nvidia-smi. */
  readonly mpsControl?: string;
}

export class NodeBench implements AsyncDisposable {
  readonly scratch = new Scratch();
  readonly gpus: readonly GpuUuid[];
  /** Command lines of nvidia-smi that changed something. */
  readonly said: string[] = [];
  agent!: NodeAgent;
  launcher!: LocalLauncher;
  bootId = 'boot-1';
  readonly #options: BenchOptions;
  #generation = 0;
  #ending = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #ledger!: FileLedger;

  constructor(options: BenchOptions = {}) {
    this.#options = options;
    const machine = createMachine({
      directory: this.machine,
      model: options.model ?? 'h100-80gb',
      gpuCount: options.gpuCount ?? 1,
      seed: this.scratch.directory,
    });
    this.gpus = machine.gpuUuids.map((text) => parseGpuUuid(text) ?? fail(text));
  }

  get machine(): string {
    return this.scratch.path('machine');
  }

  get state(): NodeState {
    return this.agent.state;
  }

  gpu(index = 0): GpuUuid {
    return this.gpus[index] ?? fail('no such GPU');
  }

  spoil(faults: Faults): void {
    writeFileSync(this.scratch.path('machine', 'faults.json'), JSON.stringify(faults));
  }

  /** A new agent on the same data, as after a restart; the one before must have been stopped. */
  async start(): Promise<void> {
    const state = new NodeState(systemClock.nowMs);
    mkdirSync(this.scratch.path('data'), { recursive: true });
    this.#ledger = await FileLedger.open({
      directory: this.scratch.path('data', 'ledger'),
      bootId: this.bootId,
      nowMs: systemClock.nowMs,
      tell: (kind, detail) => state.setCondition(nodeKey, kind, detail),
    });
    this.launcher = new LocalLauncher({
      directory: this.scratch.path('data', 'allocations'),
      bootId: this.bootId,
      environment: { PATH: process.env['PATH'] ?? '' },
      onExit: () => this.agent.nudge(),
    });
    const limits = this.#options.limits;
    const driver = createSmiDriver({
      program: this.scratch.path('machine', 'bin', 'nvidia-smi'),
      ...(limits === undefined ? {} : { limits }),
    });
    this.agent = new NodeAgent({
      driver: this.#overheard(driver),
      ledger: this.#ledger,
      launcher: this.launcher,
      attribution: new Attribution({ inspector: processInspector, launcher: this.launcher, order: () => this.#ledger.order }),
      mps: new LocalMpsControl({
        directory: this.scratch.path('mps'),
        program: this.#options.mpsControl,
        nvidiaSmi: this.scratch.path('machine', 'bin', 'nvidia-smi'),
        environment: { PATH: process.env['PATH'] ?? '' },
        clock: systemClock,
      }),
      computeModes: driver,
      modes: await FileModeMemory.open(this.scratch.path('data', 'compute-modes.json'), this.bootId),
      clock: systemClock,
      state,
      environment: (allocation, visible, sharing) =>
        workloadEnvironment({
          asked: allocation.intent.kind === 'run' ? allocation.intent.environment : {},
          visible,
          sharing,
          allocation: allocation.id,
          workload: allocation.workload,
          workspace: allocation.workspace,
        }),
      inventoryPeriodMs: 300,
      telemetry: driver.telemetry({ periodMs: 1000, detailPeriodMs: 1000 }),
      detailPeriodMs: 1000,
      prepareTimeoutMs: 100_000,
      strangersTimeoutMs: 1500,
      log: () => undefined,
      ...this.#options.deps,
    });
    this.#ending = new AbortController();
    this.#running = this.agent.run(this.#ending.signal);
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#running;
    await this.#ledger[Symbol.asyncDispose]();
  }

  #overheard(driver: GpuDriver): GpuDriver {
    return {
      observe: (signal) => driver.observe(signal),
      observeGpu: (gpu, signal) => driver.observeGpu(gpu, signal),
      observeProcesses: (signal) => driver.observeProcesses(signal),
      setMigMode: (gpu, enabled, signal) =>
        this.#hear(`${enabled ? 'enable' : 'disable'} ${this.gpus.indexOf(gpu)}`, () => driver.setMigMode(gpu, enabled, signal)),
      resetGpu: (gpu, signal) => this.#hear(`reset ${this.gpus.indexOf(gpu)}`, () => driver.resetGpu(gpu, signal)),
      createSlice: (gpu, slice, signal) =>
        this.#hear(`create ${this.gpus.indexOf(gpu)} ${slice.profile}@${slice.start}`, () => driver.createSlice(gpu, slice, signal)),
      completeSlice: (gpu, id, signal) => this.#hear(`complete ${this.gpus.indexOf(gpu)}`, () => driver.completeSlice(gpu, id, signal)),
      destroySlice: (gpu, id, signal) => {
        const slice = this.state.gpu(gpu)?.slices.find((one) => one.gpuInstanceId === id);
        return this.#hear(`destroy ${this.gpus.indexOf(gpu)} ${slice?.profile}@${slice?.start}`, () =>
          driver.destroySlice(gpu, id, signal),
        );
      },
    };
  }

  #hear<T>(what: string, run: () => Promise<T>): Promise<T> {
    this.said.push(what);
    return run();
  }

  /** The next order. A layout is `whole`, or slices as `3g.40gb@0 1g.10gb@4`. */
  async order(layouts: Readonly<Record<number, string>>, allocations: readonly DesiredAllocation[] = []): Promise<ApplyAnswer> {
    this.#generation += 1;
    const gpus = Object.entries(layouts).map(([index, text]) => ({ uuid: this.gpu(Number(index)), layout: layoutOf(text) }));
    const order: Order = { epoch: 1, generation: this.#generation, gpus, allocations };
    return this.agent.apply(order);
  }

  live(index = 0): string {
    const gpu = this.state.inventory.current?.gpus.find((one) => one.uuid === this.gpu(index));
    if (gpu === undefined) return 'unseen';
    return gpu.migEnabled ? formatLayout({ kind: 'mig', slices: gpu.slices.filter((slice) => slice.migUuid !== undefined) }) : 'whole';
  }

  status(id: string): AllocationStatus | undefined {
    return this.state.allocations.current?.find((one) => one.id === id)?.status;
  }

  conditions(key: GpuUuid | typeof nodeKey): readonly string[] {
    return (this.state.inventory.current?.conditions.get(key) ?? []).map((condition) => `${condition.kind}: ${condition.detail}`);
  }

  async reaches(id: string, kind: AllocationStatus['kind'], limitMs = 60_000): Promise<AllocationStatus> {
    return until(
      () => {
        const status = this.status(id);
        return status?.kind === kind && status;
      },
      `${id} is ${kind}`,
      limitMs,
    ).catch((cause: unknown) => {
      throw new Error(
        `${id} never became ${kind}, it is ${JSON.stringify(this.status(id))}; ${this.live()}; ${this.conditions(this.gpu()).join('; ')}`,
        { cause },
      );
    });
  }

  async becomes(layout: string, index = 0): Promise<void> {
    const wanted = formatLayout(layoutOf(layout));
    await until(() => this.live(index) === wanted, `GPU ${index} is ${wanted}`).catch((cause: unknown) => {
      throw new Error(
        `GPU ${index} is ${this.live(index)} (${JSON.stringify(this.state.gpu(this.gpu(index))?.slices)}) said ${this.said.join(', ')}, not ${wanted}; ${this.conditions(this.gpu(index)).join('; ')}`,
        { cause },
      );
    });
  }

  output(id: string): string {
    try {
      return readFileSync(this.scratch.path('data', 'allocations', id, 'output.log'), 'utf8');
    } catch {
      return '';
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.scratch[Symbol.asyncDispose]();
  }

  id(): AllocationId {
    return parseAllocationId(this.scratch.allocation()) ?? fail('not an id');
  }

  run(id: AllocationId, script: string, devices: readonly AllocatedDevice[] = []): DesiredAllocation {
    return {
      id,
      workload: 'work',
      workspace: 'team',
      devices,
      intent: { kind: 'run', command: ['sh', '-c', script], environment: {}, workingDirectory: undefined },
    };
  }

  cancel(allocation: DesiredAllocation, graceSeconds = 20): DesiredAllocation {
    return { ...allocation, intent: { kind: 'stop', graceSeconds } };
  }

  on(slice: string | undefined, index = 0, share?: Share): readonly AllocatedDevice[] {
    return [{ gpu: this.gpu(index), slice: slice === undefined ? undefined : sliceOf(slice), share }];
  }
}

function layoutOf(text: string): Layout {
  return text === 'whole'
    ? { kind: 'whole' }
    : {
        kind: 'mig',
        slices: text
          .split(' ')
          .filter((part) => part !== '' && part !== 'mig')
          .map(sliceOf),
      };
}

function sliceOf(text: string): WantedSlice {
  return parseSlice(text) ?? fail(text);
}

function fail(text: string): never {
  throw new Error(`the test is wrong: ${text}`);
}

export async function startBench(options?: BenchOptions): Promise<NodeBench> {
  const bench = new NodeBench(options);
  await bench.start();
  return bench;
}
