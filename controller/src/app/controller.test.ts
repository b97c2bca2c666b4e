import type { SubmitWorkload } from '@astrago/api';
import type { AllocationId, NodeName } from '@astrago/shared/domain/ids';
import { afterEach, describe, expect, it } from 'vitest';
import { Cluster } from '#core/cluster/cluster';
import type { ObservedAllocationState } from '#core/cluster/observed';
import { h100, observedNode } from '#core/cluster/sample-cluster';
import { FakeAgents } from '../testing/fake-agents.ts';
import { HandClock, turns } from '../testing/hand-clock.ts';
import { OpenedStore } from '../testing/opened-store.ts';
import { stop } from './commands/stop.ts';
import { submit } from './commands/submit.ts';
import { Controller } from './controller.ts';

const node = 'node-1' as NodeName;

/** The loops of a controller over one H100, in a world where no second ever passes: nudges alone drive them. */
class LoopBench implements AsyncDisposable {
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

  async submit(name: string, slice: string): Promise<void> {
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

let bench: LoopBench | undefined;
afterEach(async () => {
  await bench?.[Symbol.asyncDispose]();
  bench = undefined;
});

async function started(): Promise<LoopBench> {
  bench = new LoopBench();
  await bench.start();
  return bench;
}

describe('the loops', () => {
  it('place what is submitted and order it on its node', async () => {
    const here = await started();

    await here.submit('a', '3g.40gb');

    expect(here.phaseOf('a')).toBe('starting');
    expect(here.ordered).toEqual([['a', 'run']]);
    await here.report('a', { kind: 'running', startedAtMs: undefined });
    expect(here.phaseOf('a')).toBe('running');
  });

  it('use a freed slice at once: no round waits for its period', async () => {
    const here = await started();
    await here.submit('a', '7g.80gb');
    await here.submit('b', '7g.80gb');
    expect([here.phaseOf('a'), here.phaseOf('b')]).toEqual(['starting', 'queued']);

    await here.report('a', { kind: 'exited', exitCode: 0, startedAtMs: undefined, endedAtMs: undefined });

    expect([here.phaseOf('a'), here.phaseOf('b')]).toEqual(['succeeded', 'starting']);
    expect(here.ordered).toEqual([['b', 'run']]);
  });

  it('order a stop, and free the slice only when the agent says that nothing runs', async () => {
    const here = await started();
    await here.submit('a', '7g.80gb');
    await here.report('a', { kind: 'running', startedAtMs: undefined });
    await here.submit('b', '7g.80gb');

    await here.stop('a');
    expect(here.ordered).toEqual([['a', 'stop']]);
    await here.report('a', { kind: 'stopping' });
    expect([here.phaseOf('a'), here.phaseOf('b')]).toEqual(['stopping', 'queued']);
    await here.report('a', { kind: 'exited', exitCode: 143, startedAtMs: undefined, endedAtMs: undefined });

    expect([here.phaseOf('a'), here.phaseOf('b')]).toEqual(['cancelled', 'starting']);
    expect(here.ordered).toEqual([['b', 'run']]);
  });

  it('say why work waits, and no more once it does not', async () => {
    const here = await started();
    await here.submit('a', '7g.80gb');
    await here.submit('b', '7g.80gb');
    expect([...here.controller.waiting.counts()]).toEqual([['WaitingForSlots', 1]]);

    await here.stop('b');

    expect([...here.controller.waiting.counts()]).toEqual([]);
  });

  it('find no invariant broken on the way', async () => {
    const here = await started();
    for (const name of ['a', 'b', 'c', 'd']) await here.submit(name, '3g.40gb');
    await here.stop('a');

    expect(here.controller.auditNow()).toEqual([]);
    expect(here.logged).toEqual([]);
    expect(here.opened.store.firstBrokenAuditRow()).toBeUndefined();
  });
});
