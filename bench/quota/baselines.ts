// The policies to compare with, as they are described beside the published rows.
import { firstOf, type Job, type Policy, type Pool } from './pool.ts';

const tenantsOf = (pool: Pool): readonly number[] => [...pool.quotas.keys()];

function* allHeads(pool: Pool): Iterable<Job> {
  for (const tenant of tenantsOf(pool)) yield* pool.heads(tenant);
}

/** The first of all, and nobody before it. */
const fifo: Policy = {
  schedule(pool) {
    for (
      let job = firstOf(allHeads(pool), () => true);
      job !== undefined && job.gpus <= pool.free;
      job = firstOf(allHeads(pool), () => true)
    )
      pool.start(job, false);
  },
};

const backfill: Policy = {
  schedule(pool) {
    const next = (): Job | undefined => (pool.free === 0 ? undefined : firstOf(allHeads(pool), ({ gpus }) => gpus <= pool.free));
    for (let job = next(); job !== undefined; job = next()) pool.start(job, false);
  },
};

/** Each tenant on its own part. */
const strict: Policy = {
  schedule(pool) {
    for (const tenant of tenantsOf(pool)) {
      const next = (): Job | undefined =>
        firstOf(pool.heads(tenant), ({ gpus }) => gpus <= (pool.quotas[tenant] ?? 0) - (pool.used[tenant] ?? 0));
      for (let job = next(); job !== undefined; job = next()) pool.start(job, false);
    }
  },
};

/** In-quota first, then what is idle to the least saturated tenant; with `reclaims`, in-quota work evicts borrowed work. */
function lending(reclaims: boolean): Policy {
  const kept = (pool: Pool): number[] => {
    const sums = pool.quotas.map(() => 0);
    for (const { tenant, gpus, borrowed } of pool.running) if (!borrowed) sums[tenant] = (sums[tenant] ?? 0) + gpus;
    return sums;
  };
  /** Borrowed work whose tenant has quota left is borrowed no more, the first started first. */
  const promote = (pool: Pool): void => {
    const own = kept(pool);
    for (const job of pool.running) {
      const sum = (own[job.tenant] ?? 0) + job.gpus;
      if (!job.borrowed || sum > (pool.quotas[job.tenant] ?? 0)) continue;
      job.borrowed = false;
      own[job.tenant] = sum;
    }
  };
  const saturationOf = (pool: Pool, tenant: number): number => (pool.used[tenant] ?? 0) / (pool.quotas[tenant] ?? 1);
  return {
    schedule(pool) {
      promote(pool);
      const own = kept(pool);
      for (;;) {
        const job = firstOf(
          allHeads(pool),
          ({ tenant, gpus }) => (own[tenant] ?? 0) + gpus <= (pool.quotas[tenant] ?? 0) && (reclaims || gpus <= pool.free),
        );
        if (job === undefined) break;
        pool.start(job, false, () => {
          while (pool.free < job.gpus) {
            let victim: Job | undefined;
            for (const one of pool.running) {
              if (!one.borrowed) continue;
              const order =
                victim === undefined
                  ? 1
                  : saturationOf(pool, one.tenant) - saturationOf(pool, victim.tenant) || one.startedS - victim.startedS;
              if (order > 0) victim = one;
            }
            if (victim === undefined) throw new Error('in-quota work finds room when all that is borrowed has gone');
            pool.evict(victim);
          }
        });
        own[job.tenant] = (own[job.tenant] ?? 0) + job.gpus;
      }
      while (pool.free > 0) {
        const fitting = tenantsOf(pool).flatMap((tenant) => firstOf(pool.heads(tenant), ({ gpus }) => gpus <= pool.free) ?? []);
        const [job] = fitting.sort((a, b) => saturationOf(pool, a.tenant) - saturationOf(pool, b.tenant) || a.place - b.place);
        if (job === undefined) break;
        pool.start(job, true);
      }
    },
  };
}

export const baselines: Readonly<Record<string, () => Policy>> = {
  fifo: () => fifo,
  backfill: () => backfill,
  strict: () => strict,
  borrow: () => lending(false),
  reclaim: () => lending(true),
};
