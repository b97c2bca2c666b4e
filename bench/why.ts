// How long telling takes why a workload waits, with what would help. Protocol: N simulated nodes of eight H100 with four
// running workloads each, whole GPUs mostly and some slices, that have said how long they take; then work that cannot
// start is asked about, each kind many times over, and before each question one running workload has ended and another
// has begun. The first question of a kind is told apart: nothing is known then.
//
// With --queued so many others that wait for whole nodes are before it in the queue.
//
//   ./astrago bench why [--nodes 1000] [--rounds 30] [--queued 0] [--json]
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import type { Cluster } from '@astrago/controller/core/cluster/cluster';
import type { WorkloadRecord } from '@astrago/controller/core/cluster/records';
import { allocationIds, h100, sampleCluster, sampleWorkload, slice, whole } from '@astrago/controller/core/cluster/sample-cluster';
import { seededRandom } from '@astrago/controller/core/cluster/sample-random';
import { explain } from '@astrago/controller/core/explain/explain';
import { traceOf } from '@astrago/controller/core/explain/trace';
import { decide } from '@astrago/controller/core/scheduling/decide';
import { applyBind } from '@astrago/controller/core/scheduling/round';
import { stepWorkload } from '@astrago/controller/core/workload';

const { values } = parseArgs({
  options: {
    nodes: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '30' },
    queued: { type: 'string', default: '0' },
    json: { type: 'boolean' },
  },
});
const nodes = Number(values.nodes);
const rounds = Number(values.rounds);
const queued = Number(values.queued);
const runningPerNode = 4;
const random = seededRandom(20_391);
const nextId = allocationIds();
let sequence = 0;

/** Mean of two GPUs each, so that four fill a node. */
const mix = [
  whole(1),
  whole(2),
  whole(4),
  whole(2),
  whole(1),
  whole(2),
  slice('3g.40gb'),
  whole(2),
  whole(4),
  slice('4g.40gb'),
  whole(1),
  whole(3),
];

function arrival(): WorkloadRecord {
  sequence += 1;
  return sampleWorkload(sequence, mix[Math.floor(random() * mix.length)] ?? whole(1), {
    cpuMilli: 1000 * (1 + Math.floor(random() * 4)),
    memoryMiB: 8192 * (1 + Math.floor(random() * 4)),
    expectedSeconds: 600 + Math.floor(random() * 86_400),
  });
}

function startQueued(cluster: Cluster): number {
  const { binds } = decide(cluster, { nextAllocationId: nextId, nowMs: 0 });
  for (const bind of binds) {
    const workload = cluster.workloads.get(bind.workload);
    if (workload === undefined) continue;
    applyBind(cluster, workload, bind, 0);
    const bound = stepWorkload(workload, { kind: 'bound', allocation: bind.allocation, placement: bind.placement, atMs: 0 });
    cluster.apply({ kind: 'workload', record: { ...bound, phase: 'running', startedAtMs: 0 } });
  }
  cluster.keep();
  return binds.length;
}

/** Work beyond what has room is taken off the queue again. */
function drop(cluster: Cluster): void {
  for (const record of cluster.queue()) cluster.apply({ kind: 'workload', record: { ...record, phase: 'cancelled' } });
  cluster.keep();
}

function filled(): Cluster {
  const cluster = sampleCluster(
    Array.from({ length: nodes }, (_, at) => ({ name: `n${String(at).padStart(4, '0')}`, gpus: Array.from({ length: 8 }, () => h100) })),
  );
  // A tenth is cordoned, so that opening nodes is a remedy that has to be tried.
  for (let at = 0; at < nodes; at += 10) {
    const record = cluster.nodes.get(`n${String(at).padStart(4, '0')}` as never);
    if (record !== undefined) cluster.apply({ kind: 'node', record: { ...record, cordoned: true } });
  }
  while (cluster.allocations.size < nodes * runningPerNode) {
    for (let at = 0; at < nodes; at += 1) cluster.apply({ kind: 'workload', record: arrival() });
    const started = startQueued(cluster);
    if (started === 0) break;
  }
  drop(cluster);
  return cluster;
}

interface Asked {
  readonly name: string;
  readonly records: readonly WorkloadRecord[];
}

const kinds: readonly Asked[] = [
  { name: '6 x 3g.40gb', records: [sampleWorkload(9_000_000, { kind: 'slice', profile: '3g.40gb' as never, count: 6 })] },
  { name: '8 GPUs', records: [sampleWorkload(9_000_001, whole(8))] },
  { name: '16 GPUs, never', records: [sampleWorkload(9_000_002, whole(16))] },
  { name: 'gang of 10 x 8', records: gangOf(9_000_010, 10) },
  { name: 'gang of 150 x 8', records: gangOf(9_100_000, 150) },
];

function gangOf(first: number, members: number): readonly WorkloadRecord[] {
  const gang = { name: `g${members}`, least: members, members };
  return Array.from({ length: members }, (_, at) => sampleWorkload(first + at, whole(8), { gang }));
}

const cluster = filled();
const running = cluster.allocations.size;

function churn(): void {
  const all = [...cluster.allocations.values()];
  const ended = all[Math.floor(random() * all.length)];
  if (ended !== undefined) {
    cluster.apply({ kind: 'allocation-released', id: ended.id });
    const workload = cluster.workloads.get(ended.workload);
    if (workload !== undefined) cluster.apply({ kind: 'workload', record: { ...workload, phase: 'succeeded' } });
  }
  cluster.apply({ kind: 'workload', record: arrival() });
  startQueued(cluster);
  drop(cluster);
}

/** Time on the clock, and time of all threads of this process: on a machine that does other things the two differ. */
function timed(work: () => unknown): { readonly wallMs: number; readonly cpuMs: number } {
  const startMs = performance.now();
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return { wallMs: performance.now() - startMs, cpuMs: (user + system) / 1000 };
}

function at(times: readonly number[], share: number): number {
  const sorted = [...times].sort((a, b) => a - b);
  return Number((sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN).toFixed(2));
}

const results = kinds.map(({ name, records }) => {
  const times: number[] = [];
  const cpu: number[] = [];
  let firstMs = 0;
  let traceMs = 0;
  let remedies = 0;
  let sentence = '';
  for (let round = 0; round <= rounds; round += 1) {
    churn();
    for (let other = 0; other < queued; other += 1)
      cluster.apply({ kind: 'workload', record: sampleWorkload(8_000_000 + other, whole(8), { name: `other-${other}` as never }) });
    for (const record of records) cluster.apply({ kind: 'workload', record });
    cluster.keep();
    const id = records[0]?.id ?? ('' as never);
    const { wallMs, cpuMs } = timed(() => {
      const told = explain(cluster, id, 0);
      remedies += told?.remedies.length ?? 0;
      sentence = told?.sentence ?? '';
    });
    if (round === 0) firstMs = Number(wallMs.toFixed(2));
    else {
      times.push(wallMs);
      cpu.push(cpuMs);
    }
    if (round === rounds) traceMs = Number(timed(() => traceOf(cluster, records[0] ?? arrival())).wallMs.toFixed(2));
    drop(cluster);
  }
  return {
    name,
    firstMs,
    p50Ms: at(times, 0.5),
    p99Ms: at(times, 0.99),
    cpuP50Ms: at(cpu, 0.5),
    traceMs,
    remediesEach: Number((remedies / (rounds + 1)).toFixed(1)),
    sentence,
  };
});

const load = loadavg()[0]?.toFixed(1);
if (values.json === true) console.log(JSON.stringify({ nodes, gpus: nodes * 8, running, queued, rounds, load, results }, undefined, 2));
else {
  console.log(
    `${nodes} nodes, ${nodes * 8} GPUs, ${running} running, ${queued} before it in the queue; ${rounds} questions of each kind; ${cpus().length} CPUs, load ${load}`,
  );
  for (const { name, firstMs, p50Ms, p99Ms, cpuP50Ms, traceMs, remediesEach, sentence } of results)
    console.log(
      `${name.padEnd(18)} first ${firstMs} ms  p50 ${p50Ms} ms  p99 ${p99Ms} ms  (CPU p50 ${cpuP50Ms} ms)  trace ${traceMs} ms  ${remediesEach} remedies each\n    ${sentence}`,
    );
}
