import type { WorkloadId } from '@astrago/shared/domain/ids';
import { askFacts, askKey } from '#core/cluster/asked';
import type { Cluster } from '#core/cluster/cluster';
import type { WorkloadRecord } from '#core/cluster/records';
import { primaryReason } from '#core/explain/census';
import { reasonsOf } from '#core/explain/reasons';
import type { WaitingReason } from '#core/reason';
import type { Decision, Obstacle } from '#core/scheduling/decision';

/** Asks beyond so many are not looked into when all are counted. */
const countedMax = 64;

/**
 * Why each queued workload waits, as of the last look. Not durable: the next look says it again. A look only knows
 * what stood in the way; the reason behind it is found when somebody wants to know.
 */
export class WaitingReasons {
  readonly #cluster: Cluster;
  #obstacles: ReadonlyMap<WorkloadId, Obstacle> = new Map();
  /** By what is asked, as long as nothing changes. */
  #known = new Map<string, WaitingReason>();
  #knownAt = -1;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  set(decision: Decision): void {
    this.#obstacles = new Map(decision.waiting.map(({ workload, obstacle }) => [workload, obstacle]));
  }

  of(id: WorkloadId): WaitingReason {
    const workload = this.#cluster.workloads.get(id);
    const obstacle = this.#obstacles.get(id);
    return workload === undefined || obstacle === undefined
      ? 'PendingEvaluation'
      : this.#find(workload, obstacle, Number.POSITIVE_INFINITY);
  }

  counts(): ReadonlyMap<WaitingReason, number> {
    const counts = new Map<WaitingReason, number>();
    for (const [id, obstacle] of this.#obstacles) {
      const workload = this.#cluster.workloads.get(id);
      if (workload?.phase !== 'queued') continue;
      const reason = this.#find(workload, obstacle, countedMax);
      counts.set(reason, (counts.get(reason) ?? 0) + 1);
    }
    return counts;
  }

  #find(workload: WorkloadRecord, obstacle: Obstacle, knownMax: number): WaitingReason {
    if (this.#knownAt !== this.#cluster.revision) {
      this.#known = new Map();
      this.#knownAt = this.#cluster.revision;
    }
    const key = `${obstacle}|${obstacle === 'limit' ? workload.workspace : ''}|${askKey(askFacts(workload))}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    if (this.#known.size >= knownMax) return 'PendingEvaluation';
    const reason = primaryReason(reasonsOf(this.#cluster, workload, obstacle));
    this.#known.set(key, reason);
    return reason;
  }
}
