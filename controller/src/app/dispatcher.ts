import type { Cluster } from '#core/cluster/cluster';
import type { NodeName } from '@astrago/shared/domain/ids';
import type { Clock } from '@astrago/shared/runtime/clock';
import { Loop } from '@astrago/shared/runtime/loop';
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

/** Sends each node its desired state whenever that has changed. Nodes do not wait for each other. */
export class Dispatcher {
  readonly #deps: DispatcherDeps;
  readonly #nodes = new Map<NodeName, { readonly loop: Loop; generation: number; content: string | undefined; acknowledged: boolean }>();
  readonly #running = new Set<Promise<void>>();
  #signal: AbortSignal | undefined;

  constructor(deps: DispatcherDeps) {
    this.#deps = deps;
  }

  async run(signal: AbortSignal): Promise<void> {
    this.#signal = signal;
    this.nudge();
    await new Promise<void>((resolve) => (signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), { once: true })));
    await Promise.all(this.#running);
  }

  nudge(): void {
    for (const name of this.#deps.cluster.nodes.keys()) this.#node(name)?.loop.nudge();
  }

  /** The node says what its ledger holds; when that is not what it acknowledged, it is told again. */
  nodeHolds(name: NodeName, epoch: number, generation: number): void {
    const node = this.#nodes.get(name);
    if (node?.acknowledged === true && (epoch !== this.#deps.epoch || generation < node.generation)) node.acknowledged = false;
    node?.loop.nudge();
  }

  #node(name: NodeName): { readonly loop: Loop } | undefined {
    const known = this.#nodes.get(name);
    if (known !== undefined || this.#signal === undefined) return known;
    const once = (): Promise<void> => this.#send(name);
    let told = false;
    const onFailure = (failure: unknown): void => {
      // Once a silence, not once a try: the node's health is told elsewhere.
      if (!told) this.#deps.log({ node: name, failure: failure instanceof Error ? failure.message : String(failure) }, 'a desired state could not be handed over');
      told = true;
    };
    const loop = new Loop({ once: async () => { await once(); told = false; }, periodMs: this.#deps.retryMs, clock: this.#deps.clock, onFailure });
    const made = { loop, generation: 0, content: undefined, acknowledged: false };
    this.#nodes.set(name, made);
    const running = loop.run(this.#signal);
    this.#running.add(running);
    void running.finally(() => this.#running.delete(running));
    return made;
  }

  async #send(name: NodeName): Promise<void> {
    const node = this.#nodes.get(name);
    if (node === undefined || this.#deps.cluster.nodes.get(name)?.address === undefined) return;
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
      if (node.generation === generation) node.acknowledged = true;
      // What changed meanwhile goes out at once.
      if (JSON.stringify(desiredState(this.#deps.cluster, name)) !== text) node.loop.nudge();
      return;
    }
    if (outcome.reason === 'stale-epoch') return this.#deps.onLeadershipLost(new LeadershipLost(`node ${name}: ${outcome.detail}`));
    this.#deps.log({ node: name, reason: outcome.reason, detail: outcome.detail }, 'a desired state was refused');
    if (outcome.reason === 'stale-generation' || outcome.reason === 'content-differs') {
      node.generation = Math.max(node.generation, outcome.generation) + 1;
      node.loop.nudge();
    }
  }
}
