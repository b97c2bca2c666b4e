import type { AskClass } from './demand.ts';
import type { Placement } from './placement-index.ts';
import { outcomes, type PlacementPolicy } from './policy.ts';
import type { Shape } from './shape.ts';

const anyGpu: PlacementPolicy = { name: 'random', gpuChoice: 'every', score: () => 0 };

/** Any node that has room, and any GPU of it, each as likely as the others. Looks at every node: for comparison only. */
export class RandomPlacement {
  readonly #nodes: Shape[];
  readonly #random: () => number;

  /** @param random 0 to 1, 1 excluded. */
  constructor(nodes: readonly Shape[], random: () => number) {
    this.#nodes = [...nodes];
    this.#random = random;
  }

  place(ask: AskClass): Placement | undefined {
    let found: Placement | undefined;
    let seen = 0;
    for (const [node, before] of this.#nodes.entries()) {
      const possible = outcomes(before, ask, anyGpu);
      if (possible.length === 0) continue;
      seen += 1;
      if (this.#random() * seen >= 1) continue;
      const after = possible[Math.floor(this.#random() * possible.length)];
      if (after !== undefined) found = { node, before, after, score: 0, steps: [] };
    }
    if (found !== undefined) this.#nodes[found.node] = found.after;
    return found;
  }

  reshape(node: number, shape: Shape): void {
    this.#nodes[node] = shape;
  }
}
