// A node of real processes that is shared: its agent, with the control program, servers and CUDA clients of a simulated machine.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type AllocatedDeviceSchema, AllocationState, type DesiredAllocationSchema, MpsDaemonState } from '@astrago/proto/agent';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { readAllProcs } from '../processes/proc.ts';
import { desired, LoneAgent } from './lone-agent.ts';

export type Device = MessageInitShape<typeof AllocatedDeviceSchema>;
type Work = Exclude<MessageInitShape<typeof DesiredAllocationSchema>, { readonly $typeName: string }>;

export interface StepLine {
  readonly step: string;
  readonly gpu: string;
  readonly atMs: number;
  readonly intent?: true;
  readonly result?: string;
}

/** A node with what is wanted of it, as a controller would keep it. */
export class SharedNode implements AsyncDisposable {
  readonly agent: LoneAgent;
  readonly layouts: string[];
  readonly #work = new Map<string, Work>();

  private constructor(agent: LoneAgent, layouts: readonly string[]) {
    this.agent = agent;
    this.layouts = [...layouts];
  }

  static async start(layouts: readonly string[]): Promise<SharedNode> {
    // Below a short directory of its own, where the test can see what is left of it.
    const agent = await LoneAgent.make(
      { gpuCount: layouts.length },
      { ASTRAGO_INVENTORY_PERIOD_MS: '400', ASTRAGO_DETAIL_PERIOD_MS: '400' },
    );
    agent.start();
    return new SharedNode(agent, layouts);
  }

  /** Adds an allocation of one command to what is wanted; the order goes with {@link order}. */
  want(device: Device, command: readonly string[], memoryMiB = 100): string {
    const id = this.agent.scratch.allocation();
    const environment = { FAKE_NVIDIA_SMI_MEMORY_MIB: String(memoryMiB) };
    const intent = { case: 'run' as const, value: { command: [...command], environment } };
    this.#work.set(id, { id, workload: `work of ${id}`, workspace: 'team', devices: [device], intent });
    return id;
  }

  stop(ids: readonly string[], graceSeconds: number): void {
    for (const id of ids) {
      const work = this.#work.get(id);
      if (work !== undefined) this.#work.set(id, { ...work, intent: { case: 'stop', value: { graceSeconds } } });
    }
  }

  drop(id: string): void {
    this.#work.delete(id);
  }

  get all(): readonly string[] {
    return [...this.#work.keys()];
  }

  order(): ReturnType<LoneAgent['order']> {
    const gpus = this.layouts.map((layout, index) => desired(this.agent.gpus[index], layout));
    return this.agent.order(gpus, [...this.#work.values()]);
  }

  async reach(ids: readonly string[], state: AllocationState): Promise<void> {
    for (const id of ids)
      await this.agent.until(async () => (await this.agent.allocation(id))?.state === state, `${id} is ${AllocationState[state]}`);
  }

  async statesOf(ids: readonly string[]): Promise<readonly string[]> {
    return Promise.all(ids.map(async (id) => AllocationState[(await this.agent.allocation(id))?.state ?? AllocationState.UNSPECIFIED]));
  }

  /** Runs, and has all that it asked for. */
  async served(ids: readonly string[]): Promise<void> {
    await this.reach(ids, AllocationState.RUNNING);
    for (const id of ids) await this.agent.until(() => this.output(id).includes('ready\n'), `${id} has what it needs`);
  }

  output(id: string): string {
    const file = this.agent.scratch.path('data', 'allocations', id, 'output.log');
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  }

  /** Live processes of one kind that belong to this machine, by their names and what they were started with. */
  processes(kind: 'nvidia-cuda-mps-control' | 'nvidia-cuda-mps-server' | 'cuda-client', id?: string): readonly number[] {
    return readAllProcs().flatMap(({ pid }) => {
      if (wordsOf(pid, 'cmdline')[0] !== kind) return [];
      const environment = wordsOf(pid, 'environ');
      const isHere =
        environment.includes(`FAKE_NVIDIA_SMI_STATE=${join(this.agent.machine, 'state.json')}`) ||
        this.all.some((own) => environment.includes(`ASTRAGO_ALLOCATION_ID=${own}`));
      return isHere && (id === undefined || environment.includes(`ASTRAGO_ALLOCATION_ID=${id}`)) ? [pid] : [];
    });
  }

  /** The one client of an allocation. */
  clientOf(id: string | undefined): number {
    const [pid] = id === undefined ? [] : this.processes('cuda-client', id);
    if (pid === undefined) throw new Error(`${id} has no client`);
    return pid;
  }

  /** Which device a daemon was started for. */
  deviceOf(daemon: number): string | undefined {
    const name = 'CUDA_VISIBLE_DEVICES=';
    return wordsOf(daemon, 'environ')
      .find((entry) => entry.startsWith(name))
      ?.slice(name.length);
  }

  /** Where the daemons of this agent have their sockets. */
  get mps(): string {
    return this.agent.scratch.path('mps');
  }

  get client(): string {
    return join(this.agent.machine, 'bin', 'cuda-client');
  }

  get modes(): string {
    return this.agent.smi('--query-gpu=compute_mode --format=csv,noheader').trim().replaceAll('\n', ' ');
  }

  /** The directory of the daemon of a device, and what that has logged. */
  directoryOf(device: string): string {
    const found = this.directories.find((directory) => readFileSync(join(directory, 'device'), 'utf8').trim() === device);
    if (found === undefined) throw new Error(`no daemon of ${device} has left anything`);
    return found;
  }

  get directories(): readonly string[] {
    return existsSync(this.mps) ? readdirSync(this.mps).map((name) => join(this.mps, name)) : [];
  }

  /** Daemons of a GPU and its slices, as they are reported: state and number of clients. */
  async daemons(index: number): Promise<string> {
    const daemons = (await this.agent.gpu(index))?.mpsDaemons ?? [];
    return daemons.map(({ state, clientPids }) => `${MpsDaemonState[state]} ${clientPids.length}`).join();
  }

  async conditions(index: number): Promise<readonly string[]> {
    return ((await this.agent.gpu(index))?.conditions ?? []).map(({ kind, detail }) => `${kind}: ${detail}`);
  }

  /** Lines of the ledger: the step, and whether it is meant or done. */
  get steps(): readonly StepLine[] {
    return this.agent.steps.map((line) => JSON.parse(line) as StepLine);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.agent.kill();
    for (const kind of ['nvidia-cuda-mps-control', 'nvidia-cuda-mps-server', 'cuda-client'] as const)
      for (const pid of this.processes(kind)) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // Gone meanwhile.
        }
      }
    await this.agent[Symbol.asyncDispose]();
  }
}

/** Empty where it is gone. */
function wordsOf(pid: number, file: 'cmdline' | 'environ'): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1').split('\0');
  } catch {
    return [];
  }
}
