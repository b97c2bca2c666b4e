/** What one workload asks of one node. Asks that are equal in all of it are one class. */
export interface AskClass {
  readonly cpuMilli: number;
  readonly memoryMiB: number;
  /** 0 for work without GPUs; 1 where `milli` is below 1000. */
  readonly gpus: number;
  /** Thousandths of each GPU, 1 to 1000; 0 without GPUs. */
  readonly milli: number;
  /** Pools it may go to, by number; absent: any. */
  readonly pools: ReadonlySet<number> | undefined;
}

/** The asks that are expected, each with how often it comes. */
export interface Demand {
  readonly classes: readonly AskClass[];
  /** Any positive unit; as long as `classes`. */
  readonly weights: readonly number[];
}

export function isShare(ask: AskClass): boolean {
  return ask.gpus === 1 && ask.milli < 1000;
}

export function allows(ask: AskClass, pool: number): boolean {
  return ask.pools === undefined || ask.pools.has(pool);
}
