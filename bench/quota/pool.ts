// A pool of GPUs without nodes, jobs that run until they end or are evicted, and a queue for each tenant and size.
import { MinHeap } from './min-heap.ts';
import type { Trace, TraceJob } from './trace.ts';

/** What an eviction costs at most: the work since the last checkpoint. */
const lostAtMostS = 300;

export interface Job extends TraceJob {
  readonly sequence: number;
  leftS: number;
  startedS: number;
  /** What it has run so far, without what was lost. */
  attainedS: number;
  /** Grows with each start and eviction; an end that was planned before counts no more. */
  turn: number;
  borrowed: boolean;
  endedS: number | undefined;
  /** Its place among the waiting of its tenant; the lower the sooner. */
  place: number;
}

export interface Policy {
  /** Where a waiting job stands; its order of submission unless said otherwise. */
  place?(job: Job): number;
  ended?(job: Job): void;
  schedule(pool: Pool): void;
}

export class Pool {
  readonly gpus: number;
  readonly quotas: readonly number[];
  readonly policy: Policy;
  readonly jobs: readonly Job[];
  readonly running = new Set<Job>();
  readonly used: number[];
  readonly waiting: Map<number, MinHeap<Job>>[];
  nowS = 0;
  free: number;
  evictions = 0;
  lostGpuS = 0;
  busyGpuS = 0;
  readonly #ends = new MinHeap<{ readonly atS: number; readonly job: Job; readonly turn: number }>((a, b) => a.atS < b.atS);

  constructor(trace: Trace, gpus: number, quotas: readonly number[], policy: Policy) {
    this.gpus = gpus;
    this.free = gpus;
    this.quotas = quotas;
    this.policy = policy;
    this.used = trace.tenants.map(() => 0);
    this.waiting = trace.tenants.map(() => new Map());
    this.jobs = trace.jobs.map((job, sequence) => ({
      ...job,
      sequence,
      leftS: job.runtimeS,
      startedS: 0,
      attainedS: 0,
      turn: 0,
      borrowed: false,
      endedS: undefined,
      place: sequence,
    }));
  }

  run(): void {
    let arrived = 0;
    for (;;) {
      const end = this.#ends.least;
      const next = this.jobs[arrived];
      if (end !== undefined && end.job.turn !== end.turn) {
        this.#ends.pop();
        continue;
      }
      if (end === undefined && next === undefined) return;
      if (end !== undefined && (next === undefined || end.atS <= next.submitS)) {
        this.#ends.pop();
        this.#pass(end.atS);
        this.#stop(end.job);
        end.job.endedS = end.atS;
        this.policy.ended?.(end.job);
      } else if (next !== undefined) {
        this.#pass(next.submitS);
        this.wait(next);
        arrived += 1;
      }
      this.policy.schedule(this);
    }
  }

  wait(job: Job): void {
    job.place = this.policy.place?.(job) ?? job.sequence;
    const sizes = this.waiting[job.tenant] ?? new Map<number, MinHeap<Job>>();
    const queue = sizes.get(job.gpus) ?? new MinHeap<Job>((a, b) => a.place < b.place || (a.place === b.place && a.sequence < b.sequence));
    sizes.set(job.gpus, queue);
    queue.push(job);
  }

  /** Starts the first that waits of a tenant and size; `makeRoom` evicts once it is out of its queue. */
  start(job: Job, borrowed: boolean, makeRoom: () => void = () => undefined): void {
    const first = this.waiting[job.tenant]?.get(job.gpus)?.pop();
    makeRoom();
    if (first !== job || job.gpus > this.free) throw new Error('only the first of a queue starts, and only where it fits');
    this.free -= job.gpus;
    this.used[job.tenant] = (this.used[job.tenant] ?? 0) + job.gpus;
    job.borrowed = borrowed;
    job.startedS = this.nowS;
    job.turn += 1;
    this.running.add(job);
    this.#ends.push({ atS: this.nowS + job.leftS, job, turn: job.turn });
  }

  evict(job: Job): void {
    const ranS = this.nowS - job.startedS;
    const lostS = Math.min(lostAtMostS, ranS);
    this.#stop(job);
    job.leftS -= ranS - lostS;
    job.attainedS += ranS - lostS;
    this.evictions += 1;
    this.lostGpuS += lostS * job.gpus;
    this.wait(job);
  }

  /** The first of each size that waits of a tenant. */
  *heads(tenant: number): Iterable<Job> {
    for (const queue of this.waiting[tenant]?.values() ?? []) if (queue.least !== undefined) yield queue.least;
  }

  #stop(job: Job): void {
    this.free += job.gpus;
    this.used[job.tenant] = (this.used[job.tenant] ?? 0) - job.gpus;
    job.turn += 1;
    this.running.delete(job);
  }

  #pass(untilS: number): void {
    this.busyGpuS += (untilS - this.nowS) * (this.gpus - this.free);
    this.nowS = untilS;
  }
}

/** The one to look at first among those that pass. */
export function firstOf(jobs: Iterable<Job>, passes: (job: Job) => boolean): Job | undefined {
  let first: Job | undefined;
  for (const job of jobs) if (passes(job) && (first === undefined || job.place < first.place)) first = job;
  return first;
}
