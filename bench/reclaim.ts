// How long one look takes that has to ask back what is guaranteed. Protocol: nodes of eight H100, half of the GPUs
// guaranteed to each of two workspaces; one of them has borrowed everything, in workloads of one GPU, of which
// as many run as there is room for, up to --running; then the other asks for one GPU (and, apart from that, for eight,
// and for a gang of ten nodes). Each look is taken many times on the same cluster, which it leaves as it was. Nothing is
// placed in these looks: what is timed is finding out whom to stop. A second figure is for a gang that cannot run at all.
//
//   ./astrago bench reclaim [--nodes 500] [--running 4000] [--json]
import { parseArgs } from 'node:util';
import type { WorkloadRecord, WorkspaceRecord } from '@astrago/controller/core/cluster/records';
import { allocationIds, h100, sampleCluster, sampleWorkload, whole } from '@astrago/controller/core/cluster/sample-cluster';
import { explain } from '@astrago/controller/core/explain/explain';
import { decide } from '@astrago/controller/core/scheduling/decide';
import type { Decision } from '@astrago/controller/core/scheduling/decision';
import { carryOut, look, submit } from '@astrago/controller/core/scheduling/testing-rounds';

const { values } = parseArgs({
  options: {
    nodes: { type: 'string', default: '500' },
    running: { type: 'string', default: '4000' },
    json: { type: 'boolean', default: false },
  },
});
const nodeCount = Number(values.nodes);
const looks = 50;
const later = 3_600_000;

const half = { compute: (7 * 8 * nodeCount) / 2, memory: (8 * 8 * nodeCount) / 2 };
const lender = 'lender' as WorkspaceRecord['name'];
const borrower = 'borrower' as WorkspaceRecord['name'];

function filled() {
  const gpus = Array.from({ length: 8 }, () => h100);
  const cluster = sampleCluster(Array.from({ length: nodeCount }, (_, at) => ({ name: `n${String(at).padStart(5, '0')}`, gpus })));
  for (const name of [lender, borrower])
    cluster.apply({ kind: 'workspace', record: { name, limit: { compute: undefined, memory: undefined }, guaranteed: half } });
  for (let at = 0; at < Number(values.running); at += 1)
    submit(cluster, sampleWorkload(at, whole(1), { workspace: borrower, interruptible: 'restart' }));
  look(cluster, 0);
  // What had no room is not what is asked about.
  for (const record of cluster.queue()) cluster.apply({ kind: 'workload', record: { ...record, phase: 'cancelled' } });
  cluster.keep();
  return cluster;
}

function timed(times: number[], run: () => void): void {
  const startMs = performance.now();
  run();
  times.push(performance.now() - startMs);
}

function report(what: string, times: number[], work: string): void {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (part: number): number => Number((sorted[Math.floor(part * (sorted.length - 1))] ?? Number.NaN).toFixed(2));
  if (values.json)
    console.log(
      JSON.stringify({ what, work, looks: times.length, p50Ms: at(0.5), p99Ms: at(0.99), firstMs: Number(times[0]?.toFixed(2)) }),
    );
  else
    console.log(
      `${what.padEnd(34)} p50 ${at(0.5)} ms  p99 ${at(0.99)} ms  first ${times[0]?.toFixed(2)} ms  (${work}, ${times.length} looks)`,
    );
}

function asking(workloads: readonly WorkloadRecord[], what: string): void {
  const cluster = filled();
  const nextAllocationId = allocationIds();
  submit(cluster, ...workloads);
  const times: number[] = [];
  let decision: Decision | undefined;
  for (let round = 0; round < looks; round += 1)
    timed(times, () => {
      decision = decide(cluster, { nextAllocationId, nowMs: later });
    });
  const stopped = decision?.evictions.length ?? 0;
  if (decision !== undefined) carryOut(cluster, decision, later);
  const placed = look(cluster, later + 1).binds.filter(({ workload }) => workloads.some(({ id }) => id === workload)).length;
  report(
    what,
    times,
    `${cluster.allocations.size} running on ${8 * nodeCount} GPUs, ${stopped} stopped, then ${placed} of ${workloads.length} placed`,
  );
}

function refusing(): void {
  const cluster = filled();
  const gang = { name: 'large', least: 10, members: 10 };
  const members = Array.from({ length: 10 }, (_, at) => sampleWorkload(1_000_000 + at, whole(8), { gang }));
  submit(cluster, ...members);
  const times: number[] = [];
  let remedies = 0;
  for (let round = 0; round < looks; round += 1)
    timed(times, () => {
      const [first] = members;
      remedies = first === undefined ? 0 : (explain(cluster, first.id, later)?.remedies.length ?? 0);
    });
  report('why a gang of 10 x 8 cannot run', times, `${cluster.allocations.size} running, ${remedies} remedies`);
}

const claim = (sequence: number, count: number, more: Partial<WorkloadRecord> = {}): WorkloadRecord =>
  sampleWorkload(1_000_000 + sequence, whole(count), { workspace: lender, ...more });
asking([claim(0, 1)], 'reclaim of one GPU');
asking([claim(0, 8)], 'reclaim of a node');
const gang = { name: 'large', least: 10, members: 10 };
asking(
  Array.from({ length: 10 }, (_, at) => claim(at, 8, { gang })),
  'reclaim of ten nodes for a gang',
);
refusing();
