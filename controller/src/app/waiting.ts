import type { WorkloadId } from '@astrago/shared/domain/ids';
import type { WaitingReason } from '#core/reason';
import type { Decision } from '#core/scheduling/decision';

/** Why each queued workload waits, as of the last look. Not durable: the next look says it again. */
export class WaitingReasons {
  #reasons: ReadonlyMap<WorkloadId, WaitingReason> = new Map();

  set(decision: Decision): void {
    this.#reasons = new Map(decision.waiting.map(({ workload, reason }) => [workload, reason]));
  }

  of(workload: WorkloadId): WaitingReason {
    return this.#reasons.get(workload) ?? 'PendingEvaluation';
  }

  counts(): ReadonlyMap<WaitingReason, number> {
    const counts = new Map<WaitingReason, number>();
    for (const reason of this.#reasons.values()) counts.set(reason, (counts.get(reason) ?? 0) + 1);
    return counts;
  }
}
