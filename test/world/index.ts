// A whole cluster of real processes on this machine: one controller, one agent a node, each node a simulated
// machine with its own nvidia-smi. Everything listens on loopback, on ports of the system's choice.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Workload } from '@astrago/api';
import { type Client, createClient } from '@astrago/api/client';
import { createMachine } from '@astrago/sim';
import { Daemon } from './daemon.ts';
import { until } from './until.ts';

export { until } from './until.ts';

const root = join(import.meta.dirname, '../..');

export interface WorldOptions {
  readonly nodes?: number;
  readonly gpus?: number;
  readonly model?: string;
  /** Further environment of the controller and of every agent. */
  readonly controllerEnvironment?: Readonly<Record<string, string>>;
  readonly agentEnvironment?: Readonly<Record<string, string>>;
}

interface Announcement {
  readonly pid: number;
  readonly url: string;
  readonly joinAddress: string;
  readonly controllerAddress: string;
  readonly joinTokenFile: string;
  readonly adminTokenFile: string;
}

export interface WorldNode {
  readonly name: string;
  readonly agent: Daemon;
  /** The simulated machine: `bin/nvidia-smi`, `faults.json`, `state.json`. */
  readonly machine: string;
}

export class World implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'astrago-world-'));
  readonly controller: Daemon;
  readonly nodes: WorldNode[] = [];
  readonly #options: WorldOptions;
  #announcement: Announcement | undefined;
  #client: Client | undefined;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.controller = new Daemon({
      name: 'controller',
      program: join(root, 'controller/src/main.ts'),
      logFile: join(this.directory, 'controller.log'),
      environment: () => ({
        ...base(),
        ASTRAGO_DATA: this.#controllerData,
        // Once chosen, the port stays, so that a client finds the next controller where the last one was.
        ASTRAGO_HTTP_BIND: this.#announcement === undefined ? '127.0.0.1:0' : new URL(this.#announcement.url).host,
        ...this.#options.controllerEnvironment,
      }),
    });
  }

  get #controllerData(): string {
    return join(this.directory, 'controller');
  }

  get client(): Client {
    if (this.#client === undefined) throw new Error('the world was not started');
    return this.#client;
  }

  get url(): string {
    return this.#announcement?.url ?? '';
  }

  get adminTokenFile(): string {
    return this.#announcement?.adminTokenFile ?? '';
  }

  node(name: string): WorldNode {
    const node = this.nodes.find((one) => one.name === name);
    if (node === undefined) throw new Error(`no node ${name}`);
    return node;
  }

  async start(): Promise<void> {
    await mkdir(this.#controllerData, { recursive: true });
    await this.startController();
    for (let index = 1; index <= (this.#options.nodes ?? 1); index += 1) await this.#addNode(`sim-${index}`);
    for (const { agent } of this.nodes) agent.start();
    await this.ready();
  }

  /** Starts the controller (again) and returns when it answers. */
  async startController(): Promise<void> {
    this.controller.start();
    const announced = await until(() => this.#readAnnouncement(), 'the controller says where it is');
    const token = (await readFile(announced.adminTokenFile, 'utf8')).trim();
    this.#announcement = announced;
    this.#client = createClient({ url: announced.url, token });
    await until(async () => (await fetch(`${announced.url}/readyz`)).ok, 'the controller is ready');
  }

  async #readAnnouncement(): Promise<Announcement | undefined> {
    if (!this.controller.running)
      throw new Error(`the controller has ended, see its log:\n${readFileSync(this.controller.logFile, 'utf8').slice(-2000)}`);
    const announced = JSON.parse(await readFile(join(this.#controllerData, 'controller.json'), 'utf8')) as Announcement;
    return announced.pid === this.controller.pid ? announced : undefined;
  }

  async #addNode(name: string): Promise<void> {
    const machine = join(this.directory, name, 'machine');
    createMachine({
      directory: machine,
      model: this.#options.model ?? 'h100-80gb',
      gpuCount: this.#options.gpus ?? 1,
      seed: `${this.directory}/${name}`,
    });
    const data = join(this.directory, name, 'agent');
    await mkdir(data, { recursive: true });
    const agent = new Daemon({
      name,
      program: join(root, 'agent/src/main.ts'),
      logFile: join(this.directory, `${name}.log`),
      environment: () => ({
        ...base(),
        PATH: `${machine}/bin:${process.env['PATH'] ?? ''}`,
        ASTRAGO_WORKLOAD_PATH: `${machine}/bin:${process.env['PATH'] ?? ''}`,
        ASTRAGO_ALLOW_ROOT_WORKLOADS: '1',
        ASTRAGO_NODE_NAME: name,
        ASTRAGO_AGENT_DATA: data,
        ASTRAGO_JOIN_ADDRESS: this.#announcement?.joinAddress ?? '',
        ASTRAGO_CONTROLLER_ADDRESS: this.#announcement?.controllerAddress ?? '',
        ASTRAGO_JOIN_TOKEN_FILE: this.#announcement?.joinTokenFile ?? '',
        ASTRAGO_NVIDIA_SMI: join(machine, 'bin/nvidia-smi'),
        // Not the one of the machine that the tests run on, which may have GPUs of its own.
        ASTRAGO_KERNEL_LOG: join(machine, 'kmsg'),
        ASTRAGO_AGENT_BIND: '127.0.0.1:0',
        ASTRAGO_METRICS_BIND: '127.0.0.1:0',
        ASTRAGO_CPU_MILLI: '96000',
        ASTRAGO_MEMORY_MIB: '1048576',
        // Whoever manages the GPUs of this machine has no say in simulated ones.
        ASTRAGO_MIG_MANAGEMENT: 'take-over',
        ...this.#options.agentEnvironment,
      }),
    });
    this.nodes.push({ name, agent, machine });
  }

  /** Returns when every node is ready and shows its GPUs. */
  async ready(): Promise<void> {
    const gpus = this.#options.gpus ?? 1;
    await until(
      async () => {
        const dead = this.nodes.find(({ agent }) => !agent.running);
        if (dead !== undefined) throw new Error(`agent ${dead.name} has ended:\n${readFileSync(dead.agent.logFile, 'utf8').slice(-2000)}`);
        const { items } = await this.client.listNodes();
        return items.length === this.nodes.length && items.every((node) => node.state === 'ready' && node.gpuCount === gpus);
      },
      'all nodes are ready',
      60_000,
    );
  }

  async workload(name: string): Promise<Workload> {
    return this.client.getWorkload({ params: { workload: name } });
  }

  async reaches(name: string, phase: Workload['phase'], limitMs = 30_000): Promise<Workload> {
    let seen: Workload | undefined;
    return until(
      async () => {
        seen = await this.workload(name);
        return seen.phase === phase && seen;
      },
      `${name} is ${phase}`,
      limitMs,
    ).catch((cause: unknown) => {
      throw new Error(`${name} never became ${phase}; last seen: ${JSON.stringify(seen)}\n${this.logs()}`, { cause });
    });
  }

  async output(name: string): Promise<string> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of this.client.workloadLogs({ params: { workload: name } })) chunks.push(chunk);
    return Buffer.concat(chunks).toString('utf8');
  }

  /** The ends of all logs, for the message of a failed test. */
  logs(): string {
    return [this.controller, ...this.nodes.map(({ agent }) => agent)]
      .map((daemon) => `--- ${daemon.name}\n${readFileSync(daemon.logFile, 'utf8').slice(-1500)}`)
      .join('\n');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { agent } of this.nodes) await agent.kill();
    await this.controller.kill();
    // What carries this world's directory in its environment is a workload of it, or a tool it called.
    await until(() => killAllOf(this.directory) === 0, 'no process of this world is left');
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

function base(): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '/', LANG: 'C.UTF-8' };
}

function killAllOf(directory: string): number {
  let found = 0;
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    try {
      if (!readFileSync(`/proc/${pid}/environ`, 'latin1').includes(directory)) continue;
      found += 1;
      process.kill(pid, 'SIGKILL');
    } catch {
      // Gone meanwhile, or not ours to read.
    }
  }
  return found;
}

export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const world = new World(options);
  try {
    await world.start();
    return world;
  } catch (failure) {
    await world[Symbol.asyncDispose]();
    throw failure;
  }
}
