import type { SubmitWorkload } from '@astrago/api';
import type { AllocationId, NodeName } from '@astrago/shared/domain/ids';
import { Cluster } from '#core/cluster/cluster';
import type { ObservedAllocationState } from '#core/cluster/observed';
import { h100, observedNode } from '#core/cluster/sample-cluster';
import { stop } from '../app/commands/stop.ts';
import { submit } from '../app/commands/submit.ts';
import { Controller } from '../app/controller.ts';
import { FakeAgents } from './fake-agents.ts';
import { HandClock, turns } from './hand-clock.ts';
import { OpenedStore } from './opened-store.ts';

const node = 'node-1' as NodeName;

/** The loops of a controller over one H100, in a world where no second ever passes: nudges alone drive them. */
export class LoopBench implements AsyncDisposable {
  readonly clock = new HandClock(50);
  readonly agents = new FakeAgents();
  readonly opened = new OpenedStore();
  readonly controller: Controller;
  readonly logged: string[] = [];
  readonly #ending = new AbortController();
  #running: Promise<void> | undefined;
  #ids = 0;
  #reports: { readonly id: AllocationId; readonly state: ObservedAllocationState }[] = [];

  constructor() {
    this.controller = new Controller({
      cluster: new Cluster(),
      store: this.opened.store,
      agents: this.agents,
      clock: this.clock,
      newId: (prefix) => {
        this.#ids += 1;
        return `${prefix}_${String(this.#ids).padStart(8, '0')}`;
      },
      nodeUnreachableAfterMs: 10_000,
      nodeLostAfterMs: 60_000,
      auditPeriodMs: 5000,
      onLeadershipLost: () => undefined,
      solve: () => Promise.resolve({ kind: 'no-solution', status: 'there is no solver' }),
      onDecided: () => undefined,
      onCommitted: () => undefined,
      log: (_facts, message) => this.logged.push(message),
    });
  }

  async start(): Promise<void> {
    this.#running = this.controller.run(this.#ending.signal);
    await turns();
    await this.controller.fleet.heartbeat(node, '127.0.0.1:1', 'boot-1');
    this.controller.fleet.inventory(node, {
      ...observedNode({ name: node, gpus: [h100] }),
      bootId: 'boot-1',
      agentVersion: '1',
      driverVersion: '590',
    });
    await turns();
  }

  async submit(name: string, slice: string, restartable = false): Promise<void> {
    const { controller } = this;
    const ask = {
      name,
      workspace: 'default',
      command: ['true'],
      slice,
      environment: {},
      cpuMilli: 0,
      memoryMiB: 0,
      priority: 0,
      ...(restartable ? { interruptible: 'restart' as const } : {}),
      graceSeconds: 1,
    };
    await submit(
      {
        journal: controller.journal,
        store: this.opened.store,
        nextWorkloadId: () => controller.nextWorkloadId(),
        nextSequence: () => controller.nextSequence(),
        nowMs: this.clock.nowMs,
      },
      'admin',
      ask satisfies SubmitWorkload,
      undefined,
    );
    await turns();
  }

  async stop(name: string): Promise<void> {
    const found = this.opened.store.findWorkload(name, undefined);
    if (found === undefined) throw new Error(`no ${name}`);
    await stop({ journal: this.controller.journal, nowMs: this.clock.nowMs }, 'admin', found);
    await turns();
  }

  /** The agent says of one more allocation how it is; the others stay as they were. */
  async report(name: string, state: ObservedAllocationState): Promise<void> {
    const id = this.opened.store.findWorkload(name, undefined)?.allocation;
    if (id === undefined) throw new Error(`${name} was not placed`);
    await this.reportOf(id, state);
  }

  async reportOf(id: AllocationId, state: ObservedAllocationState): Promise<void> {
    this.#reports = [...this.#reports.filter((one) => one.id !== id), { id, state }];
    this.controller.fleet.allocations(node, this.#reports);
    this.controller.reported();
    await turns();
  }

  phaseOf(name: string): string | undefined {
    return this.opened.store.findWorkload(name, undefined)?.phase;
  }

  /** What the node was told last. */
  get ordered(): readonly (readonly [string, string])[] {
    return (
      this.agents
        .ordersTo(node)
        .at(-1)
        ?.content.allocations.map(({ workload, intent }) => [workload, intent.kind] as const) ?? []
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.#running;
    this.opened[Symbol.dispose]();
  }
}
