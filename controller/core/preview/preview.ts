// If a workspace had other limits, guarantees or weights: what of what runs and waits now would fare otherwise.
import type { WorkloadId } from '@astrago/shared/domain/ids';
import type { Cluster } from '../cluster/cluster.ts';
import type { WorkspaceRecord } from '../cluster/records.ts';
import type { HeldBack, NamedWork, Preview, Started, Stopped, Told, WaitsOtherwise } from './difference.ts';
import { type Ahead, type LookDeps, lookAhead } from './looks-ahead.ts';
import { overCommitments } from './over-commitment.ts';
import { previewSentence } from './preview-sentence.ts';

const toldMax = 50;

/** Decides with and without the record, and tells the difference. The cluster is left as it was. */
export function previewWorkspace(cluster: Cluster, record: WorkspaceRecord, deps: LookDeps): Preview {
  const without = lookAhead(cluster, deps);
  const overBefore = overCommitments(cluster);
  return cluster.attempt(() => {
    cluster.apply({ kind: 'workspace', record });
    const found = {
      ...differenceOf(cluster, without, lookAhead(cluster, deps)),
      overCommitted: told(
        [...overCommitments(cluster)].flatMap(([key, over]) => {
          const before = overBefore.get(key);
          return before !== undefined && over.amount - over.bound <= before.amount - before.bound ? [] : [over];
        }),
      ),
    };
    return { sentence: previewSentence(found), ...found };
  });
}

function differenceOf(cluster: Cluster, without: Ahead, after: Ahead): Omit<Preview, 'sentence' | 'overCommitted'> {
  const named = (id: WorkloadId): readonly NamedWork[] => {
    const workload = cluster.workloads.get(id);
    return workload === undefined ? [] : [{ id, name: workload.name, workspace: workload.workspace }];
  };
  const isQueued = (id: WorkloadId): boolean => cluster.workloads.get(id)?.phase === 'queued';
  const isStopped = ({ evictions }: Ahead, id: WorkloadId): boolean => evictions.has(id) && !isQueued(id);
  const isStarted = ({ binds }: Ahead, id: WorkloadId): boolean => binds.has(id) && isQueued(id);
  const relabelled = relabelsOf(cluster, without, after).filter(({ id }) => !isStopped(after, id));
  return {
    stopped: told(
      [...after.evictions.values()].flatMap(({ workload, cause, beneficiary, isLater }): readonly Stopped[] => {
        const [own] = named(workload);
        const [other] = named(beneficiary);
        if (own === undefined || other === undefined || isQueued(workload) || isStopped(without, workload)) return [];
        return [{ ...own, cause, beneficiary: other, afterStops: isLater, startsAgain: after.binds.has(workload) }];
      }),
    ),
    spared: told([...without.evictions.keys()].filter((id) => isStopped(without, id) && !isStopped(after, id)).flatMap(named)),
    started: told(
      [...after.binds.values()].flatMap(({ workload, borrowed, isLater }): readonly Started[] =>
        isStarted(after, workload) && !isStarted(without, workload)
          ? named(workload).map((own) => ({ ...own, borrowed, afterStops: isLater }))
          : [],
      ),
    ),
    heldBack: told(
      [...after.waiting].flatMap(([id, obstacle]): readonly HeldBack[] =>
        isStarted(without, id) && !isStarted(after, id) ? named(id).map((own) => ({ ...own, obstacle })) : [],
      ),
    ),
    borrowed: told(relabelled.filter(({ borrowed }) => borrowed).flatMap(({ id }) => named(id))),
    owned: told(relabelled.filter(({ borrowed }) => !borrowed).flatMap(({ id }) => named(id))),
    waitsOtherwise: told(
      [...after.waiting].flatMap(([id, obstacle]): readonly WaitsOtherwise[] => {
        const before = without.waiting.get(id);
        const isSame = before === undefined || before === obstacle;
        if (isSame || !isQueued(id) || isStarted(without, id) || isStarted(after, id)) return [];
        return named(id).map((own) => ({ ...own, before, after: obstacle }));
      }),
    ),
    goesOn: after.goesOn && !without.goesOn,
  };
}

/** Running work whose label would be another one than without the change. */
function relabelsOf(cluster: Cluster, without: Ahead, after: Ahead): readonly { readonly id: WorkloadId; readonly borrowed: boolean }[] {
  return [...new Set([...after.borrowed.keys(), ...without.borrowed.keys()])].flatMap((id) => {
    const allocation = cluster.allocations.get(id);
    if (allocation === undefined) return [];
    const now = allocation.borrowed === true;
    const borrowed = after.borrowed.get(id) ?? now;
    return borrowed === (without.borrowed.get(id) ?? now) ? [] : [{ id: allocation.workload, borrowed }];
  });
}

function told<T>(all: readonly T[]): Told<T> {
  return { count: all.length, items: all.slice(0, toldMax) };
}
