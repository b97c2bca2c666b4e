// What tenants wait under quotas. A recorded trace on a pool of GPUs without nodes; a job holds all its GPUs or none; run
// times are known when jobs end. Quotas are in proportion to the GPU time that each tenant used in the trace, at least its
// largest job. An eviction loses the work of up to 300 s. Delay is end less submission less run time.
// A tenant is worse off when its mean delay is more than 0.05 h above that on a private part of its quota's size; counted
// are tenants of more than 300 jobs.
//
//   ./astrago bench quota --trace FILE [--gpus 440]... [--policy P]... [--json]
import { parseArgs } from 'node:util';
import { astrago } from './quota/astrago.ts';
import { baselines } from './quota/baselines.ts';
import { Pool } from './quota/pool.ts';
import { quotasOf, readTrace, type Trace } from './quota/trace.ts';

const jobsCounted = 300;
const worseByH = 0.05;

interface Outcome {
  readonly delays: readonly number[];
  readonly byTenant: readonly number[];
  readonly utilisation: number;
  readonly evictions: number;
  readonly lostGpuH: number;
  readonly tookMs: number;
}

function replay(trace: Trace, gpus: number, policy: string): Outcome {
  const quotas = quotasOf(trace, gpus);
  const startMs = performance.now();
  const made = policy === 'astrago' ? astrago(trace.tenants, quotas, gpus) : baselines[policy]?.();
  if (made === undefined) throw new Error(`there is no policy ${policy}; there are ${[...Object.keys(baselines), 'astrago'].join(', ')}`);
  const pool = new Pool(trace, gpus, quotas, made);
  pool.run();
  const sums = trace.tenants.map(() => 0);
  const delays = pool.jobs.map((job) => {
    if (job.endedS === undefined) throw new Error(`job ${job.sequence} never ended`);
    const delay = (job.endedS - job.submitS - job.runtimeS) / 3600;
    sums[job.tenant] = (sums[job.tenant] ?? 0) + delay;
    return delay;
  });
  const [first] = pool.jobs;
  const spanS = pool.nowS - (first?.submitS ?? 0);
  return {
    delays: delays.sort((a, b) => a - b),
    byTenant: sums.map((sum, tenant) => sum / trace.jobs.filter((job) => job.tenant === tenant).length),
    utilisation: (100 * pool.jobs.reduce((sum, job) => sum + job.gpus * job.runtimeS, 0)) / (gpus * spanS),
    evictions: pool.evictions,
    lostGpuH: pool.lostGpuS / 3600,
    tookMs: performance.now() - startMs,
  };
}

const { values } = parseArgs({
  options: {
    trace: { type: 'string' },
    gpus: { type: 'string', multiple: true },
    policy: { type: 'string', multiple: true },
    json: { type: 'boolean', default: false },
  },
});
if (values.trace === undefined) throw new Error('say --trace FILE');
const trace = readTrace(values.trace);
const counted = [...trace.tenants.keys()].filter((tenant) => trace.jobs.filter((job) => job.tenant === tenant).length > jobsCounted);
const gpuHours = trace.jobs.reduce((sum, job) => sum + (job.gpus * job.runtimeS) / 3600, 0);
for (const gpus of (values.gpus ?? ['440']).map(Number)) {
  const alone = replay(trace, gpus, 'strict');
  for (const policy of values.policy ?? [...Object.keys(baselines), 'astrago']) {
    const outcome = policy === 'strict' ? alone : replay(trace, gpus, policy);
    const more = counted.map((tenant) => (outcome.byTenant[tenant] ?? 0) - (alone.byTenant[tenant] ?? 0));
    const at = (share: number): number => outcome.delays[Math.floor(share * (outcome.delays.length - 1))] ?? Number.NaN;
    const result = {
      gpus,
      policy,
      jobs: outcome.delays.length,
      utilisation: outcome.utilisation,
      meanH: outcome.delays.reduce((sum, one) => sum + one, 0) / outcome.delays.length,
      p50H: at(0.5),
      p95H: at(0.95),
      p99H: at(0.99),
      maxH: at(1),
      evictions: outcome.evictions,
      lostGpuH: outcome.lostGpuH,
      lostPercent: (100 * outcome.lostGpuH) / gpuHours,
      worseOff: more.filter((hours) => hours > worseByH).length,
      tenants: counted.length,
      worstExtraH: Math.max(...more),
      seconds: outcome.tookMs / 1000,
    };
    if (values.json)
      console.log(
        JSON.stringify({ ...result, byTenant: Object.fromEntries(trace.tenants.map((name, of) => [name, outcome.byTenant[of]])) }),
      );
    else
      console.log(
        [
          `${gpus} GPUs`,
          policy.padEnd(8),
          `${result.utilisation.toFixed(1)} %`,
          `delay h ${[result.meanH, result.p50H, result.p95H, result.p99H, result.maxH].map((hours) => hours.toFixed(2)).join(' / ')}`,
          `evictions ${result.evictions}, lost ${result.lostGpuH.toFixed(0)} GPU-h (${result.lostPercent.toFixed(3)} %)`,
          `worse off ${result.worseOff}/${result.tenants}, worst ${result.worstExtraH.toFixed(2)} h`,
          `${result.jobs} jobs in ${result.seconds.toFixed(1)} s`,
        ].join('  '),
      );
  }
}
