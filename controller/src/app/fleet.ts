import type { GpuUuid, NodeName } from '@astrago/shared/domain/ids';
import type { Clock } from '@astrago/shared/runtime/clock';
import type { Cluster } from '#core/cluster/cluster';
import type { ObservedAllocation, ObservedNode, ObservedReading } from '#core/cluster/observed';
import type { AllocationRecord } from '#core/cluster/records';
import { allocationChange, stepWorkload } from '#core/workload';
import type { Journal } from './journal.ts';
import { putWorkload } from './observe.ts';

export interface FleetDeps {
  readonly cluster: Cluster;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly unreachableAfterMs: number;
  readonly lostAfterMs: number;
  /** What is observed of nodes has changed. */
  readonly onChanged: () => void;
  readonly log: (facts: object, message: string) => void;
}

export interface InventoryReport {
  readonly bootId: string;
  readonly agentVersion: string;
  readonly driverVersion: string | undefined;
  readonly cpuMilli: number;
  readonly memoryMiB: number;
  readonly gpus: ObservedNode['gpus'];
  readonly conditions: ObservedNode['conditions'];
}

/** What is known of the nodes now: who answers, what they show, and what each said last of its allocations. */
export class Fleet {
  readonly readings = new Map<GpuUuid, ObservedReading>();
  readonly #deps: FleetDeps;
  readonly #seenAtMs = new Map<NodeName, number>();
  readonly #reports = new Map<NodeName, readonly ObservedAllocation[]>();
  /** Nodes that are not watched, since when, and why; one that was never tried is not here. */
  readonly #unwatched = new Map<NodeName, { readonly sinceMs: number; readonly obstacle: string }>();
  #checkedAtMs: number | undefined;

  constructor(deps: FleetDeps) {
    this.#deps = deps;
    for (const { name } of deps.cluster.nodes.values()) this.#show(joining(name));
  }

  /** Stores where a node is: after a restart the controller finds its agents by it. */
  async heartbeat(node: NodeName, address: string, bootId: string): Promise<void> {
    this.#seen(node);
    const known = this.#deps.cluster.nodes.get(node);
    if (known?.address === address && known.bootId === bootId) return;
    await this.#deps.journal.commit(`node:${node}`, (draft) => {
      const before = draft.cluster.nodes.get(node);
      // Said twice before the first was stored.
      if (before?.address === address && before.bootId === bootId) return;
      draft.apply({ kind: 'node', record: { ...before, name: node, address, bootId, cordoned: before?.cordoned ?? false } });
      draft.audit(before === undefined ? 'join' : 'move', node, address);
    });
    if (!this.#deps.cluster.observed.has(node)) this.#show(joining(node));
  }

  inventory(node: NodeName, report: InventoryReport): void {
    this.#unwatched.delete(node);
    this.#seen(node);
    const before = this.#deps.cluster.observed.get(node) ?? joining(node);
    const { agentVersion, driverVersion, cpuMilli, memoryMiB, gpus, conditions } = report;
    this.#show({
      ...before,
      state: 'ready',
      stateDetail: undefined,
      agentVersion,
      driverVersion,
      cpuMilli,
      memoryMiB,
      gpus,
      conditions,
      unreachableSinceMs: undefined,
      lastSeenMs: this.#deps.clock.nowMs(),
    });
    this.#deps.onChanged();
  }

  allocations(node: NodeName, reports: readonly ObservedAllocation[]): void {
    this.#seen(node);
    this.#reports.set(node, reports);
  }

  strangers(node: NodeName, strangers: ObservedNode['strangers']): void {
    this.#seen(node);
    const before = this.#deps.cluster.observed.get(node);
    if (before !== undefined) this.#show({ ...before, strangers });
  }

  /** Whether the controller's own connection to the node stands: `undefined`, or what is wrong with it. */
  watched(node: NodeName, obstacle: string | undefined): void {
    if (obstacle === undefined) {
      this.#unwatched.delete(node);
      this.#seen(node);
    } else this.#unwatched.set(node, { sinceMs: this.#unwatched.get(node)?.sinceMs ?? this.#deps.clock.elapsedMs(), obstacle });
  }

  /** The latest report of each node. Read again and again: taking one twice does no harm. */
  reports(): readonly (readonly [NodeName, readonly ObservedAllocation[]])[] {
    return [...this.#reports];
  }

  lastSeenMs(node: NodeName): number | undefined {
    const atMs = this.#seenAtMs.get(node);
    return atMs === undefined ? undefined : this.#deps.clock.nowMs() - (this.#deps.clock.elapsedMs() - atMs);
  }

  /** Marks who does not answer, and ends the work of who has not for too long. */
  async checkHealth(): Promise<void> {
    const { cluster, clock, unreachableAfterMs, lostAfterMs } = this.#deps;
    this.#forgiveOwnPause();
    for (const node of [...cluster.observed.values()]) {
      // Counted from the start for a node that this controller has not heard of yet.
      const seenAtMs = this.#seenAtMs.get(node.name) ?? this.#firstLook(node.name);
      const silentMs = clock.elapsedMs() - seenAtMs;
      if (silentMs >= unreachableAfterMs) this.#showUnreachable(node, `it was not heard for ${Math.round(unreachableAfterMs / 1000)} s`);
      // It lives, since it is heard; but no order reaches it, and what it shows is old.
      else if (this.#unwatchedMs(node.name) >= unreachableAfterMs)
        this.#showUnreachable(node, `it is heard, but cannot be reached at its address: ${this.#unwatched.get(node.name)?.obstacle}`);
      if (silentMs >= lostAfterMs) await this.#giveUp(node.name, silentMs);
    }
  }

  #showUnreachable(node: ObservedNode, stateDetail: string): void {
    if (node.state === 'unreachable') return;
    this.#deps.log({ node: node.name, why: stateDetail }, 'a node does not answer');
    this.#show({ ...node, state: 'unreachable', stateDetail, unreachableSinceMs: this.#deps.clock.nowMs() });
    // A reading that nobody takes any more is absent, not its last value.
    for (const { uuid } of node.gpus) this.readings.delete(uuid);
    this.#deps.onChanged();
  }

  #unwatchedMs(node: NodeName): number {
    const since = this.#unwatched.get(node);
    return since === undefined ? 0 : this.#deps.clock.elapsedMs() - since.sinceMs;
  }

  /** Its work has failed; its places stay taken until the node is back and says that nothing runs there. */
  async #giveUp(node: NodeName, silentMs: number): Promise<void> {
    const { cluster } = this.#deps;
    // Work that queues again after an eviction keeps the name of its last allocation, and holds it no more.
    const holds = ({ id, workload }: AllocationRecord): boolean => {
      const record = cluster.workloads.get(workload);
      return record?.allocation === id && record.phase !== 'queued';
    };
    if (!cluster.allocationsOnNode(node).some(holds)) return;
    await this.#deps.journal.commit('node-health', (draft) => {
      for (const allocation of draft.cluster.allocationsOnNode(node)) {
        const workload = draft.cluster.workloads.get(allocation.workload);
        if (workload === undefined || !holds(allocation)) continue;
        const detail = `node ${node} did not answer for ${Math.round(silentMs / 1000)} s`;
        const next = stepWorkload(workload, { kind: 'node-lost', detail, atMs: this.#deps.clock.nowMs() });
        if (next !== workload) putWorkload(draft, next);
        const change = allocationChange(allocation, next, undefined);
        if (change !== undefined) draft.apply(change);
      }
    });
  }

  /** While this process was stopped nobody could be heard: that silence was ours. */
  #forgiveOwnPause(): void {
    const nowMs = this.#deps.clock.elapsedMs();
    const pauseMs = nowMs - (this.#checkedAtMs ?? nowMs);
    this.#checkedAtMs = nowMs;
    if (pauseMs < this.#deps.unreachableAfterMs / 2) return;
    for (const [node, seenAtMs] of this.#seenAtMs) this.#seenAtMs.set(node, Math.min(nowMs, seenAtMs + pauseMs));
    for (const [node, one] of this.#unwatched) this.#unwatched.set(node, { ...one, sinceMs: Math.min(nowMs, one.sinceMs + pauseMs) });
  }

  #firstLook(node: NodeName): number {
    const nowMs = this.#deps.clock.elapsedMs();
    this.#seenAtMs.set(node, nowMs);
    return nowMs;
  }

  #seen(node: NodeName): void {
    this.#seenAtMs.set(node, this.#deps.clock.elapsedMs());
    const shown = this.#deps.cluster.observed.get(node);
    // Hearing from it is enough, if it can hear as well: what it showed before still stands until it shows otherwise.
    if (shown?.state === 'unreachable' && shown.agentVersion !== undefined && this.#unwatchedMs(node) < this.#deps.unreachableAfterMs) {
      this.#show({ ...shown, state: 'ready', stateDetail: undefined, unreachableSinceMs: undefined });
      this.#deps.onChanged();
    }
  }

  #show(node: ObservedNode): void {
    this.#deps.cluster.apply({ kind: 'observed-node', node });
    this.#deps.cluster.keep();
  }
}

function joining(name: NodeName): ObservedNode {
  return {
    name,
    state: 'joining',
    cpuMilli: 0,
    memoryMiB: 0,
    agentVersion: undefined,
    driverVersion: undefined,
    lastSeenMs: undefined,
    unreachableSinceMs: undefined,
    gpus: [],
    conditions: [],
    strangers: [],
  };
}
