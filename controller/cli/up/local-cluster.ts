// A cluster on this machine, from its start to its end: one controller, one agent a node, kept running by this process.

import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Client, createClient } from '@astrago/api/client';
import type { Clock } from '@astrago/shared/runtime/clock';
import { exitCodes } from '../exit-codes.ts';
import { CommandFailure } from '../failure.ts';
import { nodeFetch } from '../http-fetch.ts';
import { inParallel } from '../in-parallel.ts';
import { type DataFiles, dataFiles } from '../locate/data-directory.ts';
import { writeJsonFile } from '../locate/json-file.ts';
import { identify } from '../locate/process-identity.ts';
import { plural } from '../show/quantity.ts';
import { agentEnvironment, controllerEnvironment } from './child-environment.ts';
import { endLeftovers, endStaleDaemons } from './clean-up.ts';
import type { ClusterPlan, NodePlan } from './cluster-plan.ts';
import { type ControllerFile, controllerAnnouncements } from './controller-file.ts';
import { freePort } from './free-port.ts';
import { logTail } from './log-tail.ts';
import { makeMachine } from './make-machine.ts';
import { nodesReady } from './nodes-ready.ts';
import { ProcessBook } from './process-book.ts';
import type { Programs } from './programs.ts';
import { stopWorkloads } from './stop-workloads.ts';
import { Supervised, type SupervisedOptions } from './supervised.ts';

export interface LocalClusterDeps {
  readonly directory: string;
  readonly plan: ClusterPlan;
  readonly programs: Programs;
  readonly clock: Clock;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly version: string;
  /** Progress and remarks for whoever reads the log or the terminal. */
  tell(text: string): void;
  /** Once, when every node is ready. */
  onReady(): void;
  readonly limits?: Partial<Limits>;
}

interface Limits {
  readonly controllerStartMs: number;
  readonly workloadsStopMs: number;
  readonly failuresMax: number;
  readonly agentRetryMs: number;
}

const usualLimits: Limits = { controllerStartMs: 60_000, workloadsStopMs: 20_000, failuresMax: 5, agentRetryMs: 60_000 };

export class LocalCluster {
  readonly #deps: LocalClusterDeps;
  readonly #files: DataFiles;
  readonly #limits: Limits;
  readonly #book: ProcessBook;
  readonly #stopAgents = new AbortController();
  readonly #stopController = new AbortController();
  readonly #broken = Promise.withResolvers<never>();
  readonly #announced = Promise.withResolvers<ControllerFile>();
  readonly #agents: Supervised[] = [];
  readonly #running: Promise<unknown>[] = [];
  #controller: ControllerFile | undefined;
  #ready = false;

  constructor(deps: LocalClusterDeps) {
    this.#deps = deps;
    this.#files = dataFiles(deps.directory);
    this.#limits = { ...usualLimits, ...deps.limits };
    this.#book = new ProcessBook(this.#files.processes);
    // It may break while nobody waits for it; whoever waits next is told.
    this.#broken.promise.catch(() => undefined);
  }

  /** Until the signal is aborted, and then until no process is left. Throws when it cannot be started or kept running; workloads are left alone then. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, directory, plan, programs } = this.#deps;
    await mkdir(this.#files.logs, { recursive: true, mode: 0o700 });
    await endStaleDaemons(directory, { programs, clock });
    await Promise.all([this.#files.cluster, this.#files.controller].map((file) => rm(file, { force: true })));
    const port = await freePort(plan.port);
    await writeJsonFile(this.#files.plan, plan);

    const interrupted = new Promise<'interrupted'>((resolve) => {
      if (signal.aborted) resolve('interrupted');
      signal.addEventListener('abort', () => resolve('interrupted'), { once: true });
    });
    let orderly = false;
    try {
      const outcome = await Promise.race([this.#start(port), interrupted, this.#broken.promise]);
      if (outcome !== 'interrupted') {
        this.#ready = true;
        for (const agent of this.#agents) agent.markWell();
        await this.#writeClusterFile('ready');
        this.#deps.onReady();
        await Promise.race([interrupted, this.#broken.promise]);
      }
      orderly = true;
    } finally {
      await this.#stop(orderly);
    }
  }

  async #start(port: number): Promise<void> {
    const { clock, plan, programs, directory, environment } = this.#deps;
    this.#deps.tell(`Starting the controller and ${plan.nodes.length} agents; their data is in ${directory}`);
    const controller = this.#supervised({
      name: 'controller',
      script: programs.controller,
      environment: () => controllerEnvironment(directory, port, environment),
      stopGraceMs: 10_000,
    });
    this.#run(this.#keepController(controller), this.#followController(controller));
    const file = await Promise.race([this.#announced.promise, clock.sleep(this.#limits.controllerStartMs, this.#stopController.signal)]);
    if (file === undefined)
      throw await this.#failure('controller', `The controller was not ready within ${this.#limits.controllerStartMs / 1000} s.`);

    await inParallel(plan.nodes, 2, (node) => makeMachine(node, { ...this.#deps, logFile: this.#log(`${node.name}-machine`) }));
    for (const node of plan.nodes) {
      if (this.#stopAgents.signal.aborted) return;
      this.#run(this.#keepAgent(node));
    }
    const unready = await nodesReady(await this.#client(), plan.nodes, {
      clock,
      limitMs: 60_000 + 15_000 * plan.nodes.length,
      signal: this.#stopAgents.signal,
    });
    if (unready.length > 0) throw await this.#failure(unready[0] ?? '', `Not ready in time: ${unready.join(', ')}.`);
  }

  /** What runs beside the start must not end this process by a failure nobody waits for. */
  #run(...parts: readonly Promise<void>[]): void {
    for (const part of parts) this.#running.push(part.catch((failure: unknown) => this.#broken.reject(failure)));
  }

  #supervised(options: Pick<SupervisedOptions, 'name' | 'script' | 'environment' | 'stopGraceMs'>): Supervised {
    return new Supervised({
      ...options,
      logFile: this.#log(options.name),
      clock: this.#deps.clock,
      wellAfterMs: 10_000,
      failuresMax: this.#limits.failuresMax,
      // A full disk is no reason to leave a program unwatched; the next supervisor finds it by its environment.
      onStart: (identity) =>
        this.#book
          .note(options.name, identity)
          .catch((failure: unknown) => this.#deps.tell(`${options.name} could not be noted: ${String(failure)}`)),
      onEnd: (text) => this.#deps.tell(text),
    });
  }

  async #keepController(controller: Supervised): Promise<void> {
    const end = await controller.run(this.#stopController.signal);
    if (end.kind === 'gave-up')
      this.#broken.reject(await this.#failure('controller', `The controller cannot be kept running: ${end.text}.`));
  }

  async #followController(controller: Supervised): Promise<void> {
    const signal = this.#stopController.signal;
    for await (const file of controllerAnnouncements(this.#files.controller, { clock: this.#deps.clock, signal })) {
      if (file.pid !== controller.pid) continue;
      controller.markWell();
      const before = this.#controller;
      this.#controller = file;
      // Once written it stays true: the address does not change. So a full disk later does no harm.
      const written = this.#writeClusterFile(this.#ready ? 'ready' : 'starting');
      await (before === undefined
        ? written
        : written.catch((failure: unknown) => this.#deps.tell(`cluster.json could not be written: ${String(failure)}`)));
      this.#announced.resolve(file);
      const moved =
        before !== undefined && (before.joinAddress !== file.joinAddress || before.controllerAddress !== file.controllerAddress);
      if (moved) for (const agent of this.#agents) agent.restart();
    }
  }

  async #keepAgent(node: NodePlan): Promise<void> {
    const { clock, directory, environment, programs } = this.#deps;
    const signal = this.#stopAgents.signal;
    const agent = this.#supervised({
      name: node.name,
      script: programs.agent,
      environment: () => agentEnvironment(directory, node, this.#controller as ControllerFile, environment),
      stopGraceMs: 10_000,
    });
    this.#agents.push(agent);
    for (;;) {
      const end = await agent.run(signal);
      if (end.kind === 'stopped') return;
      if (!this.#ready)
        return this.#broken.reject(await this.#failure(node.name, `The agent of ${node.name} cannot be started: ${end.text}.`));
      // One node that is lost is no reason to end the others.
      this.#deps.tell(
        `The agent of ${node.name} cannot be kept running: ${end.text}. It is tried again every ${this.#limits.agentRetryMs / 1000} s; see ${this.#log(node.name)}`,
      );
      await clock.sleep(this.#limits.agentRetryMs, signal);
    }
  }

  /** In order: workloads through the controller, agents, the controller, and then whatever of this directory still runs. */
  async #stop(withWorkloads: boolean): Promise<void> {
    const { clock, directory, tell } = this.#deps;
    if (withWorkloads && this.#controller !== undefined) {
      tell(`Stopping; workloads have ${this.#limits.workloadsStopMs / 1000} s to end.`);
      const told = await stopWorkloads(await this.#client(), { clock, limitMs: this.#limits.workloadsStopMs }).catch(() => undefined);
      if (told !== undefined && told.stopped > 0) tell(`Ended ${plural(told.stopped, 'workload')}.`);
      if (told !== undefined && told.left.length > 0) tell(`Did not end in time and will be killed: ${told.left.join(', ')}.`);
    }
    this.#stopAgents.abort();
    await Promise.all(this.#running.slice(2));
    this.#stopController.abort();
    await Promise.all(this.#running);
    if (withWorkloads) await endLeftovers(directory, { clock, tell });
    await Promise.all([this.#files.cluster, this.#files.controller, this.#files.processes].map((file) => rm(file, { force: true })));
  }

  async #client(): Promise<Client> {
    const file = this.#controller as ControllerFile;
    return createClient({
      url: file.url,
      token: (await readFile(file.adminTokenFile, 'utf8')).trim(),
      fetch: nodeFetch(),
      clock: this.#deps.clock,
      timeoutMs: 5000,
    });
  }

  async #writeClusterFile(state: 'starting' | 'ready'): Promise<void> {
    const file = this.#controller as ControllerFile;
    await writeJsonFile(this.#files.cluster, {
      url: file.url,
      tokenFile: file.adminTokenFile,
      ...identify(process.pid),
      version: this.#deps.version,
      state,
    });
  }

  #log(name: string): string {
    return join(this.#files.logs, `${name}.log`);
  }

  async #failure(name: string, what: string): Promise<CommandFailure> {
    const tail = await logTail(this.#log(name));
    return new CommandFailure({
      code: 'cannot-start',
      exitCode: exitCodes.failed,
      what: tail === '' ? what : `${what} It wrote last:\n${tail}\n`,
      remedy: `The logs are in ${this.#files.logs}; workloads that ran go on, the next astrago up takes them over and astrago down ends them.`,
    });
  }
}
