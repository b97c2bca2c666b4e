// How long one look at the cluster takes. Protocol: N simulated H100 in nodes of eight, filled with a fixed mix of
// slices and whole GPUs until the first refusal; then, many times over, one workload ends, one arrives, and `decide`
// is timed. Prints the work done beside the time.
//
//   node bench/decide.ts [GPUS...]

import { allocationIds, h100, sampleCluster, sampleWorkload, slice, whole } from '@astrago/controller/core/cluster/sample-cluster';
import { decide } from '@astrago/controller/core/scheduling/decide';
import { applyBind } from '@astrago/controller/core/scheduling/round';
import { stepWorkload } from '@astrago/controller/core/workload';

const sizes = process.argv.slice(2).map(Number);
const mix = [slice('1g.10gb'), slice('2g.20gb'), slice('3g.40gb'), slice('1g.20gb'), slice('1g.10gb'), whole(1), slice('4g.40gb')];
const rounds = 400;

function measure(gpuCount: number): void {
  const nodes = Array.from({ length: Math.ceil(gpuCount / 8) }, (_, index) => ({
    name: `n${index}`,
    gpus: Array.from({ length: 8 }, () => h100),
    cpuMilli: 1e9,
  }));
  const cluster = sampleCluster(nodes);
  const nextId = allocationIds();
  let sequence = 0;
  let bound = 0;

  const arrive = (): void => {
    sequence += 1;
    cluster.apply({ kind: 'workload', record: sampleWorkload(sequence, mix[sequence % mix.length] ?? whole(1)) });
  };
  const look = (): number => {
    const startMs = performance.now();
    const decision = decide(cluster, { nextAllocationId: nextId, nowMs: 0 });
    const tookMs = performance.now() - startMs;
    for (const bind of decision.binds) {
      const workload = cluster.workloads.get(bind.workload);
      if (workload === undefined) continue;
      applyBind(cluster, workload, bind, 0);
      cluster.apply({
        kind: 'workload',
        record: stepWorkload(workload, { kind: 'bound', allocation: bind.allocation, placement: bind.placement, atMs: 0 }),
      });
      bound += 1;
    }
    cluster.keep();
    return tookMs;
  };

  const fillStartMs = performance.now();
  do {
    for (let batch = 0; batch < gpuCount; batch += 1) arrive();
    look();
  } while (cluster.queuedCount === 0);
  const fillMs = performance.now() - fillStartMs;
  const filled = bound;

  const times: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const [oldest] = cluster.allocations.values();
    if (oldest !== undefined) {
      cluster.apply({ kind: 'allocation-released', id: oldest.id });
      const workload = cluster.workloads.get(oldest.workload);
      if (workload !== undefined) cluster.apply({ kind: 'workload', record: { ...workload, phase: 'succeeded' } });
    }
    arrive();
    times.push(look());
  }
  times.sort((a, b) => a - b);
  const at = (share: number): string => (times[Math.floor(share * (times.length - 1))] ?? Number.NaN).toFixed(2);
  console.log(
    `${String(gpuCount).padStart(6)} GPUs  filled with ${filled} in ${fillMs.toFixed(0)} ms  then ${rounds} rounds, ${bound - filled} placed, ${cluster.queuedCount} waiting: p50 ${at(0.5)} ms  p99 ${at(0.99)} ms`,
  );
}

for (const size of sizes.length > 0 ? sizes : [128, 1024, 4096]) measure(size);
