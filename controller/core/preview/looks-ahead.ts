// What the next decision is, and those after it until there is nothing more to do.
import type { AllocationId, WorkloadId } from '@astrago/shared/domain/ids';
import type { Cluster } from '../cluster/cluster.ts';
import { giveTheirPlaces } from '../explain/explain.ts';
import { decide } from '../scheduling/decide.ts';
import type { Bind, Decision, Evict, Obstacle } from '../scheduling/decision.ts';
import { trialIds } from '../scheduling/fits.ts';
import type { RoundDeps } from '../scheduling/round.ts';
import { stepWorkload } from '../workload.ts';

export type LookDeps = Omit<RoundDeps, 'nextAllocationId'>;

/**
 * A node has room made on it for one claimant at a time, who starts in the look after: twice eight looks clear a node of
 * eight GPUs, and one more sees that this was all.
 */
const looksMax = 17;

type AtLook<T> = T & {
  /** Not in the next look: in one after it, when what is stopped before has ended. */
  readonly isLater: boolean;
};

/** What became of whom. Of several times the first counts. */
export interface Ahead {
  readonly binds: ReadonlyMap<WorkloadId, AtLook<Bind>>;
  readonly evictions: ReadonlyMap<WorkloadId, AtLook<Evict>>;
  /** In the end. */
  readonly borrowed: ReadonlyMap<AllocationId, boolean>;
  /** In the end. */
  readonly waiting: ReadonlyMap<WorkloadId, Obstacle>;
  /** The last look that was made still starts or stops something. */
  readonly goesOn: boolean;
}

/** Decides, carries that out, decides again, as long as something comes of it. The cluster is left as it was. */
export function lookAhead(cluster: Cluster, deps: LookDeps): Ahead {
  const round: RoundDeps = { ...deps, nextAllocationId: trialIds() };
  // Not within the attempt: what the scheduler knows of the demand is as fresh as it will be in the next look.
  const looks = [decide(cluster, round)];
  cluster.attempt(() => {
    for (let last = looks[0]; last !== undefined && hasEffect(last) && looks.length < looksMax; last = looks.at(-1)) {
      carryOut(cluster, last, deps.nowMs);
      looks.push(decide(cluster, round));
    }
  });
  const last = looks.at(-1);
  return {
    binds: firstOf(looks, ({ binds }) => binds),
    evictions: firstOf(looks, ({ evictions }) => evictions),
    borrowed: new Map(looks.flatMap(({ relabels }) => relabels.map(({ allocation, borrowed }) => [allocation, borrowed]))),
    waiting: new Map(last?.waiting.map(({ workload, obstacle }) => [workload, obstacle])),
    goesOn: last !== undefined && hasEffect(last),
  };
}

function hasEffect({ binds, evictions }: Decision): boolean {
  return binds.length + evictions.length > 0;
}

function firstOf<T extends { readonly workload: WorkloadId }>(
  looks: readonly Decision[],
  of: (decision: Decision) => readonly T[],
): ReadonlyMap<WorkloadId, AtLook<T>> {
  const found = new Map<WorkloadId, AtLook<T>>();
  for (const [at, decision] of looks.entries())
    for (const one of of(decision)) if (!found.has(one.workload)) found.set(one.workload, { ...one, isLater: at > 0 });
  return found;
}

function carryOut(cluster: Cluster, { binds, relabels, evictions }: Decision, nowMs: number): void {
  giveTheirPlaces(cluster, binds, nowMs);
  for (const { allocation, borrowed } of relabels) {
    const record = cluster.allocations.get(allocation);
    if (record !== undefined) cluster.apply({ kind: 'allocation', record: { ...record, borrowed: borrowed || undefined } });
  }
  for (const eviction of evictions) stop(cluster, eviction, nowMs);
}

/** It is gone and queues again, as if its node had said so already. */
function stop(cluster: Cluster, { workload: id, allocation, cause, beneficiary, node }: Evict, atMs: number): void {
  const workload = cluster.workloads.get(id);
  cluster.apply({ kind: 'allocation-released', id: allocation });
  if (workload === undefined) return;
  const stopping = stepWorkload(workload, { kind: 'evicted', eviction: { cause, beneficiary, node, atMs } });
  const exited = { kind: 'exited', exitCode: 143, startedAtMs: undefined, endedAtMs: atMs } as const;
  cluster.apply({ kind: 'workload', record: stepWorkload(stopping, { kind: 'observed', state: exited, atMs }) });
}
