// The controller's own quota code on the pool.
import { type Charge, QuotaAccount } from '@astrago/controller/core/quota/quota-account';
import { type QuotaNode, QuotaTree } from '@astrago/controller/core/quota/quota-tree';
import { reclaim } from '@astrago/controller/core/quota/reclaim';
import { ServiceOrder } from '@astrago/controller/core/quota/service-order';
import { firstOf, type Job, type Policy, type Pool } from './pool.ts';

/** Evicted work goes behind what was submitted up to so many times later than it has run: fresh work, mostly short, is tried first. */
const yieldsBy = 8;

export function astrago(tenants: readonly string[], quotas: readonly number[], gpus: number): Policy {
  const specs = tenants.map((name, at) => ({
    name,
    guaranteed: { compute: quotas[at] ?? 0 },
    limit: {},
    weight: Math.max(1, quotas[at] ?? 0),
  }));
  const tree = new QuotaTree({ name: 'pool', capacity: { compute: gpus }, specs });
  const account = new QuotaAccount(tree);
  const order = new ServiceOrder(tree);
  const leaves = tenants.map((name) => tree.node(name));
  const tenantOf = new Map<QuotaNode, number>(leaves.map((leaf, at) => [leaf, at]));
  const asks = new Map<number, Float64Array>();
  const jobs = new Map<string, Job>();
  let sequence = 0;

  const askOf = (size: number): Float64Array => {
    const known = asks.get(size) ?? tree.vector({ compute: size });
    asks.set(size, known);
    return known;
  };
  const leafOf = (job: Job): QuotaNode => {
    const leaf = leaves[job.tenant];
    if (leaf === undefined) throw new Error('every tenant has a quota');
    return leaf;
  };
  const choice = (pool: Pool, tenant: number): { readonly job: Job; readonly borrow: boolean } | undefined => {
    const leaf = leaves[tenant];
    if (leaf === undefined) return undefined;
    const owned = firstOf(pool.heads(tenant), (job) => tree.fitsGuarantee(leaf, askOf(job.gpus)));
    if (owned !== undefined) return { job: owned, borrow: false };
    const lent = firstOf(pool.heads(tenant), (job) => job.gpus <= pool.free);
    return lent === undefined ? undefined : { job: lent, borrow: true };
  };

  const makeRoom = (pool: Pool, leaf: QuotaNode, job: Job): readonly number[] => {
    const answer = reclaim(
      account,
      { leaf, amount: askOf(job.gpus), priority: 0 },
      {
        nowMs: 1000 * pool.nowS,
        protectionMs: 0,
        fitsAfter: (victims) => pool.free + victims.reduce((sum, { id }) => sum + (jobs.get(id)?.gpus ?? 0), 0) >= job.gpus,
      },
    );
    if (answer.kind === 'refused') throw new Error(`in-quota work finds room: ${answer.reason}`);
    for (const { id, leaf: other } of answer.victims) {
      const victim = jobs.get(id);
      if (victim === undefined) throw new Error('a victim runs');
      account.end(id, { promote: false });
      jobs.delete(id);
      pool.evict(victim);
      order.changed(other, true);
    }
    return answer.victims.map(({ leaf: other }) => tenantOf.get(other) ?? 0);
  };

  return {
    place: (job) => job.submitS + yieldsBy * job.attainedS,
    ended(job) {
      jobs.delete(String(job.sequence));
      account.end(String(job.sequence));
      order.changed(leafOf(job), true);
    },
    schedule(pool) {
      const offers = new Map<QuotaNode, { readonly job: Job; readonly borrow: boolean }>();
      const offer = (tenant: number): void => {
        const leaf = leaves[tenant];
        if (leaf === undefined) return;
        const chosen = choice(pool, tenant);
        if (chosen === undefined) offers.delete(leaf);
        else offers.set(leaf, chosen);
        order.offer(leaf, chosen === undefined ? undefined : askOf(chosen.job.gpus));
      };
      for (const tenant of leaves.keys()) offer(tenant);
      for (let next = order.next(); next !== undefined; next = order.next()) {
        const { leaf } = next;
        const offered = offers.get(leaf);
        const tenant = tenantOf.get(leaf) ?? 0;
        if (offered === undefined) throw new Error('who is served has offered something');
        const { job, borrow } = offered;
        const amount = askOf(job.gpus);
        if (job.gpus > pool.free && borrow) {
          offer(tenant);
          continue;
        }
        let evicted: readonly number[] = [];
        pool.start(job, borrow, () => {
          if (job.gpus > pool.free) evicted = makeRoom(pool, leaf, job);
        });
        sequence += 1;
        const charge: Charge = { id: String(job.sequence), leaf, amount, priority: 0, startedAtMs: 1000 * pool.nowS, sequence };
        jobs.set(charge.id, job);
        account.start(charge, { borrow });
        for (const each of new Set([tenant, ...evicted])) offer(each);
      }
    },
  };
}
