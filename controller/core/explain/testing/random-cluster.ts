// Clusters of all kinds of trouble, and the round that a controller makes.
import type { GpuUuid, NodeName, WorkspaceName } from '@astrago/shared/domain/ids';
import fc from 'fast-check';
import type { Cluster } from '../../cluster/cluster.ts';
import type { Constraints, GpuAsk, WorkloadRecord } from '../../cluster/records.ts';
import { a30, allocationIds, h100, l40s, sampleCluster, sampleWorkload, slice, whole } from '../../cluster/sample-cluster.ts';
import { decide } from '../../scheduling/decide.ts';
import { applyBind } from '../../scheduling/round.ts';
import { stepWorkload } from '../../workload.ts';

const asks: fc.Arbitrary<GpuAsk> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('1g.10gb', '2g.20gb', '3g.40gb', '4g.40gb', '7g.80gb', '2g.12gb', '9g.99gb').map(slice) },
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 5 }).map(whole) },
  { weight: 1, arbitrary: fc.constant<GpuAsk>({ kind: 'none' }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('least' as const),
      memoryMiB: fc.constantFrom(5000, 30_000),
      computeSlices: fc.constantFrom(1, 3),
      count: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('share' as const),
      by: fc.constantFrom('mps' as const, 'time-slicing' as const),
      milli: fc.constantFrom(200, 500, 900),
      memoryMiB: fc.constantFrom(undefined, 90_000),
    }),
  },
);

const constraints: fc.Arbitrary<Constraints | undefined> = fc.oneof(
  { weight: 5, arbitrary: fc.constant(undefined) },
  {
    weight: 1,
    arbitrary: fc.record({
      nodeLabels: fc.constantFrom(undefined, { rack: 'r1' }, { rack: 'r9' }),
      tolerations: fc.constantFrom(undefined, ['spot']),
      together: fc.constantFrom(undefined, [{ level: 'rack', required: true }]),
      apart: fc.constantFrom(undefined, { level: 'node', required: true }),
    }),
  },
);

const item = fc.record({
  ask: asks,
  constraints,
  cpuMilli: fc.integer({ min: 0, max: 40_000 }),
  priority: fc.integer({ min: 0, max: 2 }),
  workspace: fc.constantFrom('default', 'team-a'),
  expectedSeconds: fc.constantFrom(undefined, 60, 3600),
  members: fc.constantFrom(1, 1, 1, 2, 3),
});

const cluster = fc.record({
  cordoned: fc.subarray(['a', 'b', 'c']),
  tainted: fc.subarray(['a', 'b', 'c'], { maxLength: 1 }),
  ailing: fc.oneof(fc.constant<number[]>([0, 1, 2, 3]), fc.subarray([0, 1, 2, 3]), fc.constant<number[]>([])),
  pinned: fc.oneof(fc.constant<number[]>([0, 1, 2, 3]), fc.subarray([0, 1, 2, 3]), fc.constant<number[]>([])),
  limit: fc.constantFrom(undefined, 3, 10),
  first: fc.array(item, { maxLength: 20 }),
  second: fc.array(item, { maxLength: 5 }),
});

export type Trouble = typeof cluster extends fc.Arbitrary<infer T> ? T : never;
export const troubles: fc.Arbitrary<Trouble> = cluster;

function submit(target: Cluster, items: Trouble['first'], from: number): void {
  let sequence = from;
  for (const [at, { members, workspace, ...more }] of items.entries()) {
    const gang = members === 1 ? {} : { gang: { name: `g${from + at}`, least: members, members } };
    for (let member = 0; member < members; member += 1) {
      sequence += 1;
      const record = sampleWorkload(sequence, more.ask, { ...more, ...gang, workspace: workspace as WorkspaceName });
      target.apply({ kind: 'workload', record });
    }
  }
  target.keep();
}

/** Decides and commits, as the schedule loop does. */
export function round(target: Cluster, nextId = allocationIds()): void {
  for (const bind of decide(target, { nextAllocationId: nextId, nowMs: 0 }).binds) {
    const workload = target.workloads.get(bind.workload) as WorkloadRecord;
    applyBind(target, workload, bind, 0);
    const record = stepWorkload(workload, { kind: 'bound', allocation: bind.allocation, placement: bind.placement, atMs: 0 });
    target.apply({ kind: 'workload', record: { ...record, phase: 'running', startedAtMs: 0 } });
  }
  target.keep();
}

/** The first work was placed before the trouble began; the second is in the queue with what is left of the first. */
export function troubledCluster({ cordoned, tainted, ailing, pinned, limit, first, second }: Trouble): Cluster {
  const made = sampleCluster([
    { name: 'a', gpus: [h100, h100, h100, h100] },
    { name: 'b', gpus: [a30, l40s, h100] },
    { name: 'c', gpus: [h100, h100], cpuMilli: 30_000 },
  ]);
  made.apply({ kind: 'workspace', record: { name: 'lab' as WorkspaceName, limit: { compute: undefined, memory: undefined } } });
  const team = { name: 'team-a' as WorkspaceName, parent: 'lab' as WorkspaceName, limit: { compute: limit, memory: undefined } };
  made.apply({ kind: 'workspace', record: team });
  for (const name of ['a', 'b', 'c']) label(made, name, tainted.includes(name) ? ['spot'] : undefined);
  submit(made, first, 0);
  round(made);
  for (const name of cordoned) {
    const record = made.nodes.get(name as NodeName);
    if (record !== undefined) made.apply({ kind: 'node', record: { ...record, cordoned: true } });
  }
  const node = made.observed.get('a' as NodeName);
  if (node !== undefined) {
    const conditions = [{ kind: 'xid-needs-reset' as const, detail: 'so it is', sinceMs: 1 }];
    const gpus = node.gpus.map((gpu) => (ailing.includes(gpu.index) ? { ...gpu, conditions } : gpu));
    made.apply({ kind: 'observed-node', node: { ...node, gpus } });
  }
  for (const index of pinned) pin(made, node?.gpus[index]?.uuid);
  submit(made, second, 1000);
  return made;
}

function label(made: Cluster, name: string, taints: readonly string[] | undefined): void {
  const record = made.nodes.get(name as NodeName);
  if (record !== undefined) made.apply({ kind: 'node', record: { ...record, labels: { rack: name === 'a' ? 'r1' : 'r2' }, taints } });
}

/** As it is cut now, or into nothing. */
function pin(made: Cluster, uuid: GpuUuid | undefined): void {
  const gpu = uuid === undefined ? undefined : made.gpu(uuid);
  if (gpu === undefined) return;
  const held = made.allocationsOnGpu(gpu.uuid).length > 0;
  const layout = held ? made.layoutOf(gpu) : ({ kind: 'mig', slices: [] } as const);
  made.apply({ kind: 'layout', record: { gpu: gpu.uuid, node: gpu.node, layout, pinned: true } });
}
