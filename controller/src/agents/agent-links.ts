import type { EnforcementPolicy } from '@astrago/shared/domain/enforcement';
import type { NodeName } from '@astrago/shared/domain/ids';
import type { Clock } from '@astrago/shared/runtime/clock';
import type { Order } from '../app/desired-state.ts';
import { type Agents, AgentUnavailable, type ApplyOutcome } from '../app/ports.ts';
import { type LinkCredentials, NodeLink, type NodeReports } from './node-link.ts';

export interface AgentLinksDeps {
  readonly credentials: LinkCredentials;
  readonly reports: NodeReports;
  readonly clock: Clock;
  /** Absent: everything is observed and nothing more. */
  readonly enforcement?: EnforcementPolicy | undefined;
  readonly random: () => number;
  readonly log: (facts: object, message: string) => void;
}

/** One link a node, at the address it named last. */
export class AgentLinks implements Agents, AsyncDisposable {
  readonly #deps: AgentLinksDeps;
  readonly #links = new Map<NodeName, NodeLink>();

  constructor(deps: AgentLinksDeps) {
    this.#deps = deps;
  }

  connect(node: NodeName, address: string): void {
    const known = this.#links.get(node);
    if (known?.address === address) return;
    this.#links.set(node, new NodeLink({ ...this.#deps, node, address }));
    if (known !== undefined) void known[Symbol.asyncDispose]();
  }

  async apply(node: NodeName, order: Order): Promise<ApplyOutcome> {
    return this.#require(node).apply(order);
  }

  logs(node: NodeName, allocation: string, follow: boolean, signal: AbortSignal): AsyncIterable<Uint8Array> {
    return this.#require(node).logs(allocation, follow, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#links.values()].map((link) => link[Symbol.asyncDispose]()));
  }

  #require(node: NodeName): NodeLink {
    const link = this.#links.get(node);
    if (link === undefined) throw new AgentUnavailable(node, { cause: new Error('it has not said where it is') });
    return link;
  }
}
