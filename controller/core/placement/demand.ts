import type { ProfileName } from '@astrago/shared/domain/mig/profile';

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
  /** The share is one of time slices; otherwise, and where absent, of MPS. */
  readonly timeSliced?: boolean | undefined;
  /** MIG slices, with `gpus` and `milli` 0; absent: none. */
  readonly slices?: SliceAsk | undefined;
}

export interface SliceAsk {
  readonly count: number;
  /** By pool: its name there. */
  readonly profiles: ReadonlyMap<number, ProfileName>;
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
