import type { AllocationId, NodeName } from '@astrago/shared/domain/ids';
import type { Clock } from '@astrago/shared/runtime/clock';
import { Loop } from '@astrago/shared/runtime/loop';
import type { Change } from '#core/cluster/change';
import type { Cluster } from '#core/cluster/cluster';
import { desiredState } from './desired-state.ts';
import { type Agents, LeadershipLost } from './ports.ts';

export interface DispatcherDeps {
  readonly cluster: Cluster;
  readonly agents: Agents;
  readonly epoch: number;
  readonly clock: Clock;
  readonly retryMs: number;
  readonly onLeadershipLost: (failure: LeadershipLost) => void;
  readonly log: (facts: object, message: string) => void;
}

interface DispatchedNode {
  readonly loop: Loop;
  generation: number;
  content: string | undefined;
  acknowledged: boolean;
  /** Its desired state may differ from what was sent. */
  dirty: boolean;
  lookedAtMs: number;
  /** What was told of a refusal, so that it is told once. */
  refusal: string | undefined;
}

/** Making a desired state costs more than this loop should cost an idle node; a change that was not told is found this late. */
const lookAnywayMs = 10_000;

/** Sends each node its desired state whenever that has changed. Nodes do not wait for each other. */
export class Dispatcher {
  readonly #deps: DispatcherDeps;
  readonly #nodes = new Map<NodeName, DispatchedNode>();
  readonly #places = new Map<AllocationId, NodeName>();
  readonly #running = new Set<Promise<void>>();
  #signal: AbortSignal | undefined;

  constructor(deps: DispatcherDeps) {
    this.#deps = deps;
  }

  async run(signal: AbortSignal): Promise<void> {
    this.#signal = signal;
    for (const { id, node } of this.#deps.cluster.allocations.values()) this.#places.set(id, node);
    for (const name of this.#deps.cluster.nodes.keys()) this.nudge(name);
    await new Promise<void>((resolve) => (signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), { once: true })));
    await Promise.all(this.#running);
  }

  nudge(name: NodeName): void {
    const node = this.#nodes.get(name);
    if (node === undefined) {
      this.#begin(name);
      return;
    }
    node.dirty = true;
    node.loop.nudge();
  }

  /** Looks again at the nodes that these changes are about. */
  changed(changes: readonly Change[]): void {
    for (const name of new Set(changes.map((change) => this.#nodeOf(change)))) if (name !== undefined) this.nudge(name);
  }

  /** The node says what its ledger holds; when that is not what it acknowledged, it is told again. */
  nodeHolds(name: NodeName, epoch: number, generation: number): void {
    const node = this.#nodes.get(name);
    if (node?.acknowledged === true && (epoch !== this.#deps.epoch || generation < node.generation)) node.acknowledged = false;
    node?.loop.nudge();
  }

  #nodeOf(change: Change): NodeName | undefined {
    switch (change.kind) {
      case 'workload':
      case 'layout':
        return change.record.node;
      case 'allocation':
        this.#places.set(change.record.id, change.record.node);
        return change.record.node;
      case 'allocation-released': {
        const name = this.#places.get(change.id);
        this.#places.delete(change.id);
        return name;
      }
      case 'layout-forgotten':
        return this.#deps.cluster.gpu(change.gpu)?.node;
      case 'node':
        return change.record.name;
      case 'workspace':
      case 'reservation':
      case 'reservation-cancelled':
      case 'pool':
        return undefined;
      default:
        return change satisfies never;
    }
  }

  #begin(name: NodeName): void {
    if (this.#signal === undefined || !this.#deps.cluster.nodes.has(name)) return;
    const once = (): Promise<void> => this.#send(name);
    let told = false;
    const onFailure = (failure: unknown): void => {
      // Once a silence, not once a try: the node's health is told elsewhere.
      if (!told)
        this.#deps.log(
          { node: name, failure: failure instanceof Error ? failure.message : String(failure) },
          'a desired state could not be handed over',
        );
      told = true;
    };
    const loop = new Loop({
      once: async () => {
        await once();
        told = false;
      },
      periodMs: this.#deps.retryMs,
      clock: this.#deps.clock,
      onFailure,
    });
    const made: DispatchedNode = {
      loop,
      generation: 0,
      content: undefined,
      acknowledged: false,
      dirty: true,
      lookedAtMs: 0,
      refusal: undefined,
    };
    this.#nodes.set(name, made);
    const running = loop.run(this.#signal);
    this.#running.add(running);
    void running.finally(() => this.#running.delete(running));
  }

  async #send(name: NodeName): Promise<void> {
    const node = this.#nodes.get(name);
    if (node === undefined || this.#deps.cluster.nodes.get(name)?.address === undefined) return;
    const nowMs = this.#deps.clock.elapsedMs();
    if (node.acknowledged && !node.dirty && nowMs - node.lookedAtMs < lookAnywayMs) return;
    node.dirty = false;
    node.lookedAtMs = nowMs;
    const content = desiredState(this.#deps.cluster, name);
    const text = JSON.stringify(content);
    if (text === node.content && node.acknowledged) return;
    if (text !== node.content) {
      node.generation += 1;
      node.content = text;
      node.acknowledged = false;
    }
    const generation = node.generation;
    const outcome = await this.#deps.agents.apply(name, { epoch: this.#deps.epoch, generation, content });
    if (outcome.kind === 'accepted') {
      // What changed meanwhile has nudged the loop: it goes out in the next round.
      if (node.generation === generation) node.acknowledged = true;
      node.refusal = undefined;
      return;
    }
    if (outcome.reason === 'stale-epoch') return this.#deps.onLeadershipLost(new LeadershipLost(`node ${name}: ${outcome.detail}`));
    const { reason, detail } = outcome;
    if (node.refusal !== detail) this.#deps.log({ node: name, reason, detail }, 'a desired state was refused');
    node.refusal = detail;
    if (outcome.reason === 'stale-generation' || outcome.reason === 'content-differs') {
      node.generation = Math.max(node.generation, outcome.generation) + 1;
      node.loop.nudge();
    }
  }
}
