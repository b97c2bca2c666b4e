import type { PlacementPolicy } from '../policy.ts';
import { freeMilli, type Shape } from '../shape.ts';

/** The largest node there is, which remainders are measured by. */
export interface LargestNode {
  readonly cpuMilli: number;
  readonly gpus: number;
}

/** The node with the least CPU and GPU left afterwards. */
export function bestFit(largest: LargestNode): PlacementPolicy {
  return {
    name: 'best-fit',
    gpuChoice: 'tightest',
    score: (_before, after) =>
      Math.floor(100 * (1 - after.cpuMilli / largest.cpuMilli / 2 - freeMilli(after.gpus) / (1000 * largest.gpus) / 2)),
  };
}

/** The node whose free CPU and GPU are least like what is asked, so that what is asked for together stays free together. */
export function dotProduct(largest: LargestNode): PlacementPolicy {
  const cpu = (milli: number): number => milli / largest.cpuMilli;
  const gpu = (milli: number): number => milli / (1000 * largest.gpus);
  return {
    name: 'dot-product',
    gpuChoice: 'tightest',
    score: (before: Shape, _after, ask) =>
      Math.floor(100 * (1 - (cpu(before.cpuMilli) * cpu(ask.cpuMilli) + gpu(freeMilli(before.gpus)) * gpu(ask.gpus * ask.milli)) / 2)),
  };
}
