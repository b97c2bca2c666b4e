// Who holds which GPU of which node, so that what ends gives back what it took. A placement index knows only what is free.
import type { AskClass } from '@astrago/controller/core/placement/demand';
import type { Placement } from '@astrago/controller/core/placement/placement-index';
import type { Shape } from '@astrago/controller/core/placement/shape';

export interface Tenancy {
  readonly ask: AskClass;
  readonly node: number;
  /** Numbers of the GPUs on the node. */
  readonly gpus: readonly number[];
}

export class Tenancies {
  /** Free thousandths of each GPU, by node, in an order that stays. */
  readonly #free: Uint16Array[];

  constructor(nodes: readonly Shape[]) {
    this.#free = nodes.map(({ gpus }) => gpus.slice());
  }

  begun(ask: AskClass, { node, before, after }: Placement): Tenancy {
    const free = this.#free[node] ?? new Uint16Array();
    const wanted = takenFrom(before.gpus, after.gpus);
    const gpus: number[] = [];
    for (let gpu = 0; gpu < free.length && gpus.length < ask.gpus; gpu += 1) {
      if (free[gpu] !== wanted) continue;
      free[gpu] = (free[gpu] ?? 0) - ask.milli;
      gpus.push(gpu);
    }
    if (gpus.length !== ask.gpus) throw new Error(`node ${node} has no ${ask.gpus} GPUs with ${wanted} free`);
    return { ask, node, gpus };
  }

  /** What the node has free once the tenancy is over. */
  ended({ ask, node, gpus }: Tenancy, now: Shape): Shape {
    const free = this.#free[node] ?? new Uint16Array();
    for (const gpu of gpus) free[gpu] = (free[gpu] ?? 0) + ask.milli;
    return {
      pool: now.pool,
      cpuMilli: now.cpuMilli + ask.cpuMilli,
      memoryMiB: now.memoryMiB + ask.memoryMiB,
      gpus: free.slice().sort().reverse(),
      marks: now.marks,
      worth: Number.NaN,
    };
  }
}

/** What was free on a GPU that something was taken of: both lists are sorted, the largest first. */
function takenFrom(before: Uint16Array, after: Uint16Array): number {
  let at = 0;
  while (at < before.length && before[at] === after[at]) at += 1;
  return before[at] ?? 0;
}
