import type { NodeName } from '@astrago/shared/domain/ids';
import type { Order } from '../app/desired-state.ts';
import type { Agents, ApplyOutcome } from '../app/ports.ts';

/** Agents that write down what they are told. */
export class FakeAgents implements Agents {
  readonly orders: { readonly node: NodeName; readonly order: Order }[] = [];
  /** What a node does with its next orders; without one it accepts. */
  readonly answers = new Map<string, (order: Order) => Promise<ApplyOutcome>>();
  readonly outputs = new Map<string, () => AsyncIterable<Uint8Array>>();

  apply(node: NodeName, order: Order): Promise<ApplyOutcome> {
    this.orders.push({ node, order });
    return this.answers.get(node)?.(order) ?? Promise.resolve({ kind: 'accepted' });
  }

  async *logs(_node: NodeName, allocation: string): AsyncIterable<Uint8Array> {
    const output = this.outputs.get(allocation);
    if (output !== undefined) yield* output();
  }

  ordersTo(node: string): readonly Order[] {
    return this.orders.filter((one) => one.node === node).map(({ order }) => order);
  }
}
