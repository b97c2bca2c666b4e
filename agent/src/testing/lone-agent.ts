// The real agent process on a simulated machine, spoken to over gRPC as its controller would, without a controller.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  AllocationState,
  type AllocationStatus,
  ApplyRequestSchema,
  type ApplyResponse,
  type DesiredAllocationSchema,
  type DesiredGpuSchema,
  type Gpu,
  type GpuProcess,
  type Inventory,
  NodeAgent,
  type WatchResponse,
} from '@astrago/proto/agent';
import { serviceDefinition } from '@astrago/proto/grpc';
import { createMachine, type Faults, type MachineOrder, type MachineState, rebootMachine } from '@astrago/sim';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import { readAllProcs, readCommandLine } from '../processes/proc.ts';
import { Scratch } from './scratch.ts';
import { TestAuthority } from './test-authority.ts';
import { until } from './until.ts';

type DesiredGpu = MessageInitShape<typeof DesiredGpuSchema>;
type DesiredAllocation = MessageInitShape<typeof DesiredAllocationSchema>;

interface MachineModel {
  readonly model: { readonly mig: { readonly profiles: readonly { readonly id: number; readonly name: string }[] } | null };
}

const Client = grpc.makeGenericClientConstructor(serviceDefinition(NodeAgent), 'NodeAgent');

export class LoneAgent implements AsyncDisposable {
  readonly scratch = new Scratch();
  readonly gpus: readonly string[];
  readonly #authority: TestAuthority;
  readonly #environment: Readonly<Record<string, string>>;
  #process: ChildProcess | undefined;
  #client: InstanceType<typeof Client> | undefined;
  #log = '';
  #generation = 0;
  /** What the agent reported last, since it was started. */
  #inventory: Inventory | undefined;
  #allocations: readonly AllocationStatus[] = [];
  #processes: readonly GpuProcess[] = [];

  private constructor(authority: TestAuthority, machine: Partial<MachineOrder>, environment: Readonly<Record<string, string>>) {
    this.#authority = authority;
    this.#environment = environment;
    const { gpuUuids } = createMachine({
      directory: this.machine,
      model: 'h100-80gb',
      gpuCount: 1,
      seed: this.scratch.directory,
      ...machine,
    });
    this.gpus = gpuUuids;
    this.boot('boot-1');
    // Its own host, so that what runs on this machine meanwhile is not seen, nor what the test puts there by others.
    mkdirSync(this.scratch.path('host', 'proc'), { recursive: true });
  }

  static async make(machine: Partial<MachineOrder> = {}, environment: Readonly<Record<string, string>> = {}): Promise<LoneAgent> {
    const authority = await TestAuthority.make();
    const agent = new LoneAgent(authority, machine, environment);
    const own = await authority.issue('node-1');
    mkdirSync(agent.scratch.path('data', 'credentials'), { recursive: true });
    for (const [name, text] of [
      ['node.crt', own.certificatePem],
      ['node.key', own.keyPem],
      ['ca.crt', own.authorityPem],
    ] as const)
      writeFileSync(agent.scratch.path('data', 'credentials', name), text);
    return agent;
  }

  get machine(): string {
    return this.scratch.path('machine');
  }

  get log(): string {
    return this.#log;
  }

  /** Intents and outcomes as they stand in the ledger; a line that is not written to its end is none. */
  get steps(): readonly string[] {
    try {
      return readFileSync(this.scratch.path('data', 'ledger', 'steps.jsonl'), 'utf8')
        .split('\n')
        .slice(0, -1)
        .filter((line) => line !== '');
    } catch {
      return [];
    }
  }

  boot(id: string): void {
    writeFileSync(this.scratch.path('boot-id'), `${id}\n`);
  }

  /** A power cycle, by which everything that ran is gone; the agent must have been killed. */
  async reboot(id: string): Promise<void> {
    await this.scratch.endAllocations();
    this.#endTools();
    rebootMachine(this.machine);
    this.boot(id);
  }

  spoil(faults: Faults): void {
    writeFileSync(join(this.machine, 'faults.json'), JSON.stringify(faults));
  }

  /** As a person at the machine would. */
  smi(command: string): string {
    return execFileSync(join(this.machine, 'bin', 'nvidia-smi'), command.split(' '), { encoding: 'utf8' });
  }

  /** A GPU as the machine itself knows it, which asks no driver and no agent. */
  machineGpu(index = 0): MachineState['gpus'][number] {
    const { gpus } = JSON.parse(readFileSync(join(this.machine, 'state.json'), 'utf8')) as MachineState;
    const gpu = gpus[index];
    if (gpu === undefined) throw new Error(`the machine has no GPU ${index}`);
    return gpu;
  }

  /** As {@link layoutOf}, from the machine itself. */
  machineLayout(index = 0): string {
    const { model } = JSON.parse(readFileSync(join(this.machine, 'lib', 'model.json'), 'utf8')) as MachineModel;
    const gpu = this.machineGpu(index);
    const nameOf = (id: number): string => model.mig?.profiles.find((profile) => profile.id === id)?.name.replace('MIG ', '') ?? String(id);
    const slices = gpu.instances.toSorted((a, b) => a.start - b.start);
    const texts = slices.map(
      ({ profileId, start, computeInstances }) => `${nameOf(profileId)}@${start}${computeInstances.length === 1 ? '' : '?'}`,
    );
    return gpu.migCurrent ? texts.join(' ') || 'mig' : 'whole';
  }

  /** Readers that a killed agent has left behind end at their next line, which may be a long time. */
  #endTools(): void {
    for (const { pid } of readAllProcs()) {
      if (!readCommandLine(pid).some((word) => word.startsWith(this.machine))) continue;
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Gone meanwhile.
      }
    }
  }

  /** Spawns the process; its answers come once it is up. */
  start(): void {
    this.#inventory = undefined;
    this.#allocations = [];
    this.#processes = [];
    this.#log = '';
    const child = spawn(process.execPath, [join(import.meta.dirname, '..', 'main.ts')], {
      env: {
        PATH: process.env['PATH'],
        ASTRAGO_NODE_NAME: 'node-1',
        ASTRAGO_AGENT_DATA: this.scratch.path('data'),
        ASTRAGO_JOIN_ADDRESS: '127.0.0.1:1',
        ASTRAGO_CONTROLLER_ADDRESS: '127.0.0.1:1',
        ASTRAGO_NVIDIA_SMI: join(this.machine, 'bin', 'nvidia-smi'),
        ASTRAGO_METRICS_BIND: '127.0.0.1:0',
        ASTRAGO_BOOT_ID_FILE: this.scratch.path('boot-id'),
        ASTRAGO_ALLOW_ROOT_WORKLOADS: '1',
        ASTRAGO_WORKLOAD_PATH: process.env['PATH'],
        ASTRAGO_HOST_ROOT: this.scratch.path('host'),
        // Its own, too: an agent of root would take one below /run.
        ASTRAGO_MPS_DIRECTORY: this.scratch.path('mps'),
        // What is tested are steps, not samples.
        ASTRAGO_SAMPLE_PERIOD_MS: '60000',
        ASTRAGO_INVENTORY_PERIOD_MS: '1000',
        ...this.#environment,
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#process = child;
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#log += chunk.toString();
    });
  }

  /** Kills without mercy; returns when the process is gone. */
  async kill(): Promise<void> {
    this.#client?.close();
    this.#client = undefined;
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  #up(): Promise<{ readonly address: string; readonly metricsPort: number }> {
    return this.until(() => {
      const line = this.#log.split('\n').find((text) => text.includes('the agent is up'));
      return line !== undefined && (JSON.parse(line) as { readonly address: string; readonly metricsPort: number });
    }, 'the agent is up');
  }

  /** What is on its GPUs, as it reported last. */
  async processes(): Promise<readonly GpuProcess[]> {
    await this.#connected();
    return this.#processes;
  }

  /** What a scraper gets. */
  async metrics(): Promise<string> {
    const { metricsPort } = await this.#up();
    return (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  }

  async #connected(): Promise<InstanceType<typeof Client>> {
    if (this.#client !== undefined) return this.#client;
    const { address } = await this.#up();
    const own = await this.#authority.issue('controller');
    const client = new Client(
      address,
      grpc.credentials.createSsl(Buffer.from(this.#authority.pem), Buffer.from(own.keyPem), Buffer.from(own.certificatePem)),
      { 'grpc.ssl_target_name_override': 'localhost' },
    );
    this.#client = client;
    const watch = client['watch'] as (request: object) => grpc.ClientReadableStream<WatchResponse>;
    const stream = watch.call(client, {});
    stream.on('data', ({ report }: WatchResponse) => {
      if (report.case === 'inventory') this.#inventory = report.value;
      if (report.case === 'allocations') this.#allocations = report.value.allocations;
      if (report.case === 'processes') this.#processes = report.value.processes;
    });
    // It breaks with the process, which is what is tested.
    stream.on('error', () => undefined);
    return client;
  }

  /** The next order; the agent must be up. */
  async order(gpus: readonly DesiredGpu[], allocations: readonly DesiredAllocation[] = []): Promise<ApplyResponse['answer']> {
    const client = await this.#connected();
    this.#generation += 1;
    const desired = { epoch: 1n, generation: BigInt(this.#generation), gpus: [...gpus], allocations: [...allocations] };
    const apply = client['apply'] as (request: object, answer: (failure: Error | null, response: ApplyResponse) => void) => void;
    return new Promise((resolve, reject) =>
      apply.call(client, create(ApplyRequestSchema, { desired }), (failure, response) =>
        failure === null ? resolve(response.answer) : reject(failure),
      ),
    );
  }

  /** What the agent says now; `undefined` before its driver has answered. */
  async inventory(): Promise<Inventory | undefined> {
    await this.#connected();
    return this.#inventory;
  }

  async gpu(index = 0): Promise<Gpu | undefined> {
    return (await this.inventory())?.gpus.find((one) => one.uuid === this.gpus[index]);
  }

  async allocation(id: string): Promise<AllocationStatus | undefined> {
    await this.#connected();
    return this.#allocations.find((one) => one.id === id);
  }

  async runs(id: string): Promise<void> {
    const status = await this.until(async () => {
      const one = await this.allocation(id);
      return one !== undefined && [AllocationState.RUNNING, AllocationState.FAILED, AllocationState.EXITED].includes(one.state) && one;
    }, `${id} runs`);
    if (status.state !== AllocationState.RUNNING) throw new Error(`${id} does not run: ${AllocationState[status.state]}, ${status.detail}`);
  }

  /** `until`, with what the agent printed where it is in vain. */
  async until<T>(look: () => T | undefined | false | Promise<T | undefined | false>, what: string): Promise<T> {
    return until(look, what).catch((cause: unknown) => {
      throw new Error(`in vain: ${what}\n${this.#log.slice(-4000)}\n${this.steps.slice(-20).join('\n')}`, { cause });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    this.#endTools();
    await this.scratch[Symbol.asyncDispose]();
  }
}

/** `whole`, or slices as `3g.40gb@4 1g.10gb@0`; `mig` for none. */
export function desired(uuid: string | undefined, layout: string): DesiredGpu {
  if (uuid === undefined) throw new Error('the test names a GPU that the machine does not have');
  if (layout === 'whole') return { uuid, layout: { case: 'whole', value: {} } };
  const slices = layout
    .split(' ')
    .filter((text) => text.includes('@'))
    .map((text) => ({ profile: text.split('@')[0] ?? '', start: Number(text.split('@')[1]) }));
  return { uuid, layout: { case: 'mig', value: { slices } } };
}

/** As it is now, with slices that have no compute instance marked. */
export function layoutOf(gpu: Gpu | undefined): string {
  if (gpu === undefined) return 'unseen';
  if (!gpu.migEnabled) return 'whole';
  const slices = gpu.slices
    .toSorted((a, b) => a.start - b.start)
    .map((slice) => `${slice.profile}@${slice.start}${slice.migUuid === undefined ? '?' : ''}`);
  return slices.join(' ') || 'mig';
}
