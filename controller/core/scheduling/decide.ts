import type { Cluster } from '../cluster/cluster.ts';
import type { Bind, Decision, Waiting } from './decision.ts';
import { placeUnit, unitsOf } from './gang.ts';
import { Round, type RoundDeps } from './round.ts';
import { type Scheduler, schedulerOf } from './scheduler.ts';

/**
 * Looks at the queue in its order and says who goes where. The cluster is left as it was.
 *
 * Work that does not fit is passed by: later, smaller work may start first. The head of the queue is looked at
 * first in every round, so what it needs is never given to others while it fits (I7).
 */
export function decide(cluster: Cluster, deps: RoundDeps, scheduler: Scheduler = schedulerOf(cluster)): Decision {
  return cluster.attempt(() => {
    const round = new Round(scheduler, deps);
    const binds: Bind[] = [];
    const waiting: Waiting[] = [];
    for (const unit of unitsOf(cluster, cluster.queue())) {
      const answer = placeUnit(round, unit, undefined);
      const bound = answer.kind === 'bound' ? answer.binds : [];
      binds.push(...bound);
      const obstacle = answer.kind === 'bound' ? 'room' : answer.obstacle;
      for (const { id } of unit.members) if (!bound.some(({ workload }) => workload === id)) waiting.push({ workload: id, obstacle });
    }
    return { binds, evictions: [], promotions: [], waiting };
  });
}
