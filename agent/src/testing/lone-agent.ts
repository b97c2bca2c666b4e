// The real agent process on a simulated machine, spoken to over gRPC as its controller would, without a controller.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  AllocationState,
  type AllocationStatus,
  type ApplyResponse,
  type DesiredAllocationSchema,
  type DesiredGpuSchema,
  type DesiredStateSchema,
  type Gpu,
  type GpuProcess,
  type Inventory,
} from '@astrago/proto/agent';
import { createMachine, type Faults, type MachineOrder, type MachineState, rebootMachine } from '@astrago/sim';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { readAllProcs, readCommandLine } from '../processes/proc.ts';
import { AgentProcess } from './agent-process.ts';
import { Scratch } from './scratch.ts';
import { type Reports, StandInController } from './stand-in-controller.ts';
import { TestAuthority } from './test-authority.ts';
import { until } from './until.ts';

type DesiredState = MessageInitShape<typeof DesiredStateSchema>;
type DesiredGpu = MessageInitShape<typeof DesiredGpuSchema>;
type DesiredAllocation = MessageInitShape<typeof DesiredAllocationSchema>;
type Environment = Readonly<Record<string, string>>;

interface MachineModel {
  readonly model: { readonly mig: { readonly profiles: readonly { readonly id: number; readonly name: string }[] } | null };
}

export class LoneAgent implements AsyncDisposable {
  readonly scratch = new Scratch();
  readonly gpus: readonly string[];
  readonly #authority: TestAuthority;
  readonly #environment: Environment;
  /** All that were spawned; the last one that was started is the one spoken to. */
  readonly #processes: AgentProcess[] = [];
  #process: AgentProcess | undefined;
  #controller: Promise<StandInController> | undefined;
  /** What the agent has reported since it was started. */
  #reports: Reports = {};
  #generation = 0;

  private constructor(authority: TestAuthority, machine: Partial<MachineOrder>, environment: Environment) {
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
    writeFileSync(this.kernelLog, '6,1,1000,-;Linux version 6.12\n');
    // Workloads of another user have to get to their directories.
    chmodSync(this.scratch.directory, 0o711);
  }

  /** A machine, and a node that has joined as `node-1`; nothing runs yet. `environment` is that of every agent on it. */
  static async make(machine: Partial<MachineOrder> = {}, environment: Environment = {}): Promise<LoneAgent> {
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

  /** As {@link make}, with an agent that is up. */
  static async running(machine: Partial<MachineOrder> = {}, environment: Environment = {}): Promise<LoneAgent> {
    const agent = await LoneAgent.make(machine, environment);
    try {
      await agent.start().up();
      return agent;
    } catch (failure) {
      await agent[Symbol.asyncDispose]();
      throw failure;
    }
  }

  get machine(): string {
    return this.scratch.path('machine');
  }

  /** A file with lines as of /dev/kmsg. */
  get kernelLog(): string {
    return this.scratch.path('host', 'kmsg');
  }

  /** What the agent has written since it was started. */
  get log(): string {
    return this.#process?.log ?? '';
  }

  /** The newest report of each kind since the agent was started; it is watched from the first order or question on. */
  get reports(): Reports {
    return this.#reports;
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

  /** Spawns the agent that is spoken to from now on; its answers come once it is up. */
  start(environment: Environment = {}): AgentProcess {
    this.#process = this.spawn(environment);
    this.#reports = {};
    this.#controller = undefined;
    return this.#process;
  }

  /** Spawns an agent of this node beside the one that is spoken to. */
  spawn(environment: Environment = {}): AgentProcess {
    const spawned = new AgentProcess(this.environment(environment));
    this.#processes.push(spawned);
    return spawned;
  }

  /** What an agent of this node finds in its environment. */
  environment(more: Environment = {}): Environment {
    return {
      ASTRAGO_NODE_NAME: 'node-1',
      ASTRAGO_AGENT_DATA: this.scratch.path('data'),
      ASTRAGO_JOIN_ADDRESS: '127.0.0.1:1',
      ASTRAGO_CONTROLLER_ADDRESS: '127.0.0.1:1',
      ASTRAGO_NVIDIA_SMI: join(this.machine, 'bin', 'nvidia-smi'),
      ASTRAGO_METRICS_BIND: '127.0.0.1:0',
      ASTRAGO_BOOT_ID_FILE: this.scratch.path('boot-id'),
      ASTRAGO_KERNEL_LOG: this.kernelLog,
      ASTRAGO_ALLOW_ROOT_WORKLOADS: '1',
      ASTRAGO_WORKLOAD_PATH: process.env['PATH'] ?? '',
      ASTRAGO_HOST_ROOT: this.scratch.path('host'),
      // Its own, too: an agent of root would take one below /run.
      ASTRAGO_MPS_DIRECTORY: this.scratch.path('mps'),
      // What is tested are steps, not samples.
      ASTRAGO_SAMPLE_PERIOD_MS: '60000',
      ASTRAGO_INVENTORY_PERIOD_MS: '1000',
      ...this.#environment,
      ...more,
    };
  }

  /** Ends the agent, without mercy unless told otherwise; returns when the process is gone. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await this.#process?.kill(signal);
    const controller = this.#controller;
    this.#controller = undefined;
    (await controller?.catch(() => undefined))?.[Symbol.dispose]();
  }

  #connected(): Promise<StandInController> {
    this.#controller ??= this.#connect();
    return this.#controller;
  }

  async #connect(): Promise<StandInController> {
    if (this.#process === undefined) throw new Error('no agent was started');
    const { address } = await this.#process.up();
    const controller = await StandInController.connect(address, this.#authority);
    this.#reports = controller.reports;
    return controller;
  }

  /** The next order; waits for the agent to be up. */
  order(gpus: readonly DesiredGpu[], allocations: readonly DesiredAllocation[] = []): Promise<ApplyResponse['answer']> {
    return this.apply({ gpus: [...gpus], allocations: [...allocations] });
  }

  /** As {@link order}, of everything that can be ordered. */
  async apply(desired: DesiredState): Promise<ApplyResponse['answer']> {
    const controller = await this.#connected();
    this.#generation += 1;
    return controller.apply({ epoch: 1n, generation: BigInt(this.#generation), ...desired });
  }

  /** As {@link apply}; throws where the answer is not yes. */
  async mustApply(desired: DesiredState): Promise<void> {
    const answer = await this.apply(desired);
    if (answer.case !== 'accepted') throw new Error(`the order was not accepted: ${answer.value?.detail}`);
  }

  async exec(allocation: string, command: readonly string[]): Promise<{ readonly output: string; readonly exitCode: number | undefined }> {
    return (await this.#connected()).exec(allocation, command);
  }

  /** What the agent says now; `undefined` before its driver has answered. */
  async inventory(): Promise<Inventory | undefined> {
    await this.#connected();
    return this.#reports.inventory;
  }

  async gpu(index = 0): Promise<Gpu | undefined> {
    return (await this.inventory())?.gpus.find((one) => one.uuid === this.gpus[index]);
  }

  async allocation(id: string): Promise<AllocationStatus | undefined> {
    await this.#connected();
    return this.#reports.allocations?.allocations.find((one) => one.id === id);
  }

  /** What is on its GPUs, as it reported last. */
  async processes(): Promise<readonly GpuProcess[]> {
    await this.#connected();
    return this.#reports.processes?.processes ?? [];
  }

  /** What a scraper gets. */
  async metrics(): Promise<string> {
    if (this.#process === undefined) throw new Error('no agent was started');
    const { metricsPort } = await this.#process.up();
    return (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
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
      throw new Error(`in vain: ${what}\n${this.log.slice(-4000)}\n${this.steps.slice(-20).join('\n')}`, { cause });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    for (const spawned of this.#processes) await spawned.kill();
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
