// A cluster in use: work arrives, is decided about and committed as the schedule loop does it, and ends.

import type { PolicyMaker } from '@astrago/controller/core/bays/bays';
import { Cluster } from '@astrago/controller/core/cluster/cluster';
import type { ObservedNode } from '@astrago/controller/core/cluster/observed';
import type { AllocationRecord, GpuAsk, WorkloadRecord } from '@astrago/controller/core/cluster/records';
import { allocationIds, h100, observedNode, sampleWorkload } from '@astrago/controller/core/cluster/sample-cluster';
import { decide } from '@astrago/controller/core/scheduling/decide';
import { applyBind } from '@astrago/controller/core/scheduling/round';
import { Scheduler } from '@astrago/controller/core/scheduling/scheduler';
import { stepWorkload } from '@astrago/controller/core/workload';
import type { Arrival } from './mix.ts';

export interface WorldFacts {
  readonly nodes: number;
  readonly gpusPerNode: number;
  readonly mix: readonly Arrival[];
  readonly makePolicy: PolicyMaker;
  /** 0 to 1, 1 excluded. */
  readonly random: () => number;
}

/** Of this thread's CPU where nothing else is said: others on the machine do not count. */
export interface RoundTimes {
  /** By the clock, of `decide`: the CPU's account is too coarse for one short round. */
  readonly wallMs: number;
  readonly decideMs: number;
  readonly commitMs: number;
  readonly placed: number;
}

const workspaces = 20;

export class World {
  readonly cluster = new Cluster();
  readonly scheduler: Scheduler;
  readonly #facts: WorldFacts;
  readonly #running: AllocationRecord[] = [];
  readonly #nextAllocationId = allocationIds();
  #sequence = 0;
  #heldGpus = 0;

  constructor(facts: WorldFacts) {
    this.#facts = facts;
    const { nodes, gpusPerNode, makePolicy } = facts;
    for (let at = 0; at < nodes; at += 1) {
      const gpus = new Array<typeof h100>(gpusPerNode).fill(h100);
      const node = observedNode({
        name: `n${String(at).padStart(5, '0')}`,
        gpus,
        cpuMilli: 16_000 * gpusPerNode,
        memoryMiB: 98_304 * gpusPerNode,
      });
      this.cluster.apply({ kind: 'node', record: { name: node.name, address: undefined, cordoned: false, bootId: undefined } });
      this.cluster.apply({ kind: 'observed-node', node });
    }
    // Never reached, and always looked at.
    const limit = { compute: 7 * nodes * gpusPerNode, memory: 8 * nodes * gpusPerNode };
    for (let at = 0; at < workspaces; at += 1)
      this.cluster.apply({ kind: 'workspace', record: { name: `w${at}` as WorkloadRecord['workspace'], limit } });
    this.cluster.keep();
    this.scheduler = new Scheduler(this.cluster, makePolicy);
  }

  /** Of all GPUs, in parts of them. */
  get load(): number {
    return this.#heldGpus / (this.#facts.nodes * this.#facts.gpusPerNode);
  }

  /** What one arrival adds to the load, in the mean. */
  get loadOfOne(): number {
    const { mix, nodes, gpusPerNode } = this.#facts;
    return mix.reduce((sum, { ask }) => sum + gpusAsked(ask), 0) / mix.length / (nodes * gpusPerNode);
  }

  get running(): number {
    return this.#running.length;
  }

  draw(): Arrival {
    const { mix, random } = this.#facts;
    // The mix is not empty.
    return mix[Math.floor(random() * mix.length)] as Arrival;
  }

  arrive(count: number): void {
    for (let at = 0; at < count; at += 1) {
      const { ask, cpuMilli, memoryMiB } = this.draw();
      this.#sequence += 1;
      const workspace = `w${Math.floor(this.#facts.random() * workspaces)}` as WorkloadRecord['workspace'];
      this.cluster.apply({ kind: 'workload', record: sampleWorkload(this.#sequence, ask, { workspace, cpuMilli, memoryMiB }) });
    }
    this.cluster.keep();
  }

  /** Work chosen at random ends until the load is below. */
  endDownTo(load: number): void {
    while (this.load > load && this.#running.length > 0) {
      const at = Math.floor(this.#facts.random() * this.#running.length);
      const ended = this.#running[at] as AllocationRecord;
      const last = this.#running.pop();
      if (last !== undefined && last !== ended) this.#running[at] = last;
      this.#heldGpus -= gpusOf(ended);
      const workload = this.cluster.workloads.get(ended.workload);
      const exited = { kind: 'exited', exitCode: 0, startedAtMs: 1, endedAtMs: 2 } as const;
      if (workload !== undefined)
        this.cluster.apply({ kind: 'workload', record: stepWorkload(workload, { kind: 'observed', state: exited, atMs: 2 }) });
      this.cluster.apply({ kind: 'allocation-released', id: ended.id });
    }
    this.cluster.keep();
  }

  round(): RoundTimes {
    const startedMs = performance.now();
    const startMs = cpuMs();
    const { binds } = decide(this.cluster, { nextAllocationId: this.#nextAllocationId, nowMs: 0 }, this.scheduler);
    const decidedMs = cpuMs();
    const wallMs = performance.now() - startedMs;
    for (const bind of binds) {
      const workload = this.cluster.workloads.get(bind.workload);
      if (workload === undefined) continue;
      applyBind(this.cluster, workload, bind, 0);
      const event = { kind: 'bound', allocation: bind.allocation, placement: bind.placement, atMs: 0 } as const;
      this.cluster.apply({ kind: 'workload', record: stepWorkload(workload, event) });
    }
    this.cluster.keep();
    const commitMs = cpuMs() - decidedMs;
    for (const { allocation } of binds) {
      const record = this.cluster.allocations.get(allocation);
      if (record === undefined) continue;
      this.#running.push(record);
      this.#heldGpus += gpusOf(record);
    }
    return { wallMs, decideMs: decidedMs - startMs, commitMs, placed: binds.length };
  }

  /** The same content once more, as a new object: what a node says again and again. Milliseconds that it took. */
  reportAgain(at: number): number {
    const observed = this.cluster.observed.get(`n${String(at % this.#facts.nodes).padStart(5, '0')}` as ObservedNode['name']);
    if (observed === undefined) return 0;
    const node = structuredClone(observed);
    const startMs = cpuMs();
    this.cluster.apply({ kind: 'observed-node', node });
    this.cluster.keep();
    return cpuMs() - startMs;
  }
}

/** What this thread has computed since it began, in milliseconds. */
export function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** How much of GPUs it holds, a slice by its memory. */
function gpusOf({ devices }: AllocationRecord): number {
  return devices.reduce(
    (sum, { slice, share }) => sum + (share === undefined ? (slice === undefined ? 1 : sliceOf(slice.profile)) : share.milli / 1000),
    0,
  );
}

function gpusAsked(ask: GpuAsk): number {
  if (ask.kind === 'whole') return ask.count;
  if (ask.kind === 'share') return ask.milli / 1000;
  return ask.kind === 'slice' ? sliceOf(ask.profile) : 0;
}

function sliceOf(profile: string): number {
  return (h100.grid.profiles.find(({ name }) => name === profile)?.size ?? 0) / h100.grid.placementUnits;
}
