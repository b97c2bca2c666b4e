import { allows, type Demand } from './demand.ts';

/** How much dearer a pool is than another one, now that so much is free. */
export interface PoolPressure {
  /** Above 0 where a pool is asked for more than others are, below 0 where less; in parts of what an even demand asks. */
  of(pool: number): number;
  /** What is expected from now on. */
  expect(demand: Demand): void;
  /** So many thousandths of GPUs more are free in the pool, or fewer. */
  freed(pool: number, milli: number): void;
  /** Makes up its mind anew; whether that changed anything. */
  settle(): boolean;
}

/** Asks for what is gone are not this much dearer than others: they would keep free what is next best. */
const scarcest = 3;
/** Changes below this, and below this part of what it was, are none. */
const least = { change: 0.05, part: 0.2 };

/**
 * Each kind of ask spreads evenly over what is free in the pools it may go to. What that adds up to in a pool, against
 * what it would be if every ask could go everywhere, is its pressure: as a pool that some asks depend on fills up,
 * asks that could go elsewhere find it dearer.
 *
 * @param capacity GPUs by pool, all of them free.
 */
export function poolPressure(capacity: readonly number[]): PoolPressure {
  const free = capacity.map((gpus) => gpus * 1000);
  let kinds: readonly { readonly pools: readonly number[]; readonly volume: number }[] = [];
  let settled = capacity.map(() => 0);
  const pressures = (): number[] => {
    const sums = capacity.map(() => -1);
    const total = free.reduce((sum, milli) => sum + milli, 0);
    for (const { pools, volume } of kinds) {
      const reach = pools.reduce((sum, pool) => sum + (free[pool] ?? 0), 0);
      const scarcity = Math.min(scarcest, reach > 0 ? (volume * total) / reach : scarcest);
      for (const pool of pools) sums[pool] = (sums[pool] ?? 0) + scarcity;
    }
    return sums;
  };
  return {
    of: (pool) => settled[pool] ?? 0,
    expect(demand) {
      kinds = kindsOf(demand, capacity.length);
      settled = kinds.length === 0 ? capacity.map(() => 0) : pressures();
    },
    freed(pool, milli) {
      free[pool] = (free[pool] ?? 0) + milli;
    },
    settle() {
      // Nobody is choosy: every pool is under the same pressure whatever is free.
      if (kinds.every(({ pools }) => pools.length === capacity.length)) return false;
      const now = pressures();
      const isNews = now.some((value, pool) => {
        const before = settled[pool] ?? 0;
        return Math.abs(value - before) >= Math.max(least.change, least.part * (1 + before));
      });
      if (isNews) settled = now;
      return isNews;
    },
  };
}

/** The sets of pools that asks may go to, and their part in the GPUs that are asked for. */
function kindsOf({ classes, weights }: Demand, count: number) {
  const all = Array.from({ length: count }, (_, pool) => pool);
  const volumes = new Map<string, { readonly pools: readonly number[]; volume: number }>();
  let total = 0;
  classes.forEach((ask, at) => {
    const volume = (weights[at] ?? 0) * ask.gpus * ask.milli;
    const pools = all.filter((pool) => allows(ask, pool));
    const kind = volumes.get(pools.join()) ?? { pools, volume: 0 };
    kind.volume += volume;
    total += volume;
    volumes.set(pools.join(), kind);
  });
  return total === 0 ? [] : [...volumes.values()].map(({ pools, volume }) => ({ pools, volume: volume / total }));
}
