// Reads a trace with tenants, and gives each tenant the quota that it would have had.
import { readFileSync } from 'node:fs';

export interface TraceJob {
  readonly tenant: number;
  readonly gpus: number;
  readonly submitS: number;
  /** Not known to any policy before the job has ended. */
  readonly runtimeS: number;
}

export interface Trace {
  readonly jobs: readonly TraceJob[];
  readonly tenants: readonly string[];
}

/** Lines of `timestamp,duration,num_gpus,gpu_time,cluster` below a head that names them, in any order. */
export function readTrace(file: string): Trace {
  const [head = '', ...lines] = readFileSync(file, 'utf8').trim().split(/\r?\n/);
  const at = ['timestamp', 'duration', 'num_gpus', 'cluster'].map((name) => {
    const column = head.split(',').findIndex((one) => one.trim() === name || `${one.trim()}s` === name);
    if (column < 0) throw new Error(`${file} has no column ${name}`);
    return column;
  });
  const tenants = new Map<string, number>();
  const jobs = lines.map((line, row): TraceJob => {
    const cells = line.split(',');
    const [timestamp = '', duration = '', gpus = '', cluster = ''] = at.map((column) => cells[column]?.trim() ?? '');
    const submitS = Date.parse(`${timestamp.replace(' ', 'T')}Z`) / 1000;
    const job = { tenant: tenants.get(cluster) ?? tenants.size, gpus: Number(gpus), submitS, runtimeS: Number(duration) };
    if (!(job.gpus > 0) || !(job.runtimeS >= 0) || Number.isNaN(submitS)) throw new Error(`${file}, line ${row + 2}: ${line} is no job`);
    tenants.set(cluster, job.tenant);
    return job;
  });
  return { jobs: jobs.sort((a, b) => a.submitS - b.submitS), tenants: [...tenants.keys()] };
}

/** In proportion to the GPU time of each tenant, at least its largest job, whole GPUs, all of them given out. */
export function quotasOf(trace: Trace, gpus: number): readonly number[] {
  const floors = trace.tenants.map(() => 0);
  const times = trace.tenants.map(() => 0);
  for (const { tenant, gpus: size, runtimeS } of trace.jobs) {
    floors[tenant] = Math.max(floors[tenant] ?? 0, size);
    times[tenant] = (times[tenant] ?? 0) + size * runtimeS;
  }
  if (floors.reduce((sum, one) => sum + one, 0) > gpus) throw new Error(`${gpus} GPUs do not hold the largest job of every tenant at once`);
  const quotas = (level: number): readonly number[] => times.map((time, tenant) => Math.max(floors[tenant] ?? 0, level * time));
  let [low, high] = [0, gpus / Math.max(1e-9, Math.min(...times.filter((time) => time > 0)))];
  for (let step = 0; step < 200; step += 1) {
    const middle = (low + high) / 2;
    if (quotas(middle).reduce((sum, one) => sum + one, 0) > gpus) high = middle;
    else low = middle;
  }
  const exact = quotas(low);
  const whole = exact.map(Math.floor);
  const byRest = [...exact.keys()].sort((a, b) => (exact[b] ?? 0) - (whole[b] ?? 0) - (exact[a] ?? 0) + (whole[a] ?? 0));
  let left = gpus - whole.reduce((sum, one) => sum + one, 0);
  for (const tenant of byRest) if (left-- > 0) whole[tenant] = (whole[tenant] ?? 0) + 1;
  return whole;
}
