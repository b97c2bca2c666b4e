// Why a workload waits, counted, and what would make it fit. Every remedy named was tried on the cluster and undone.
import type { WorkloadId } from '@astrago/shared/domain/ids';
import type { Cluster } from '../cluster/cluster.ts';
import type { WaitingReason } from '../reason.ts';
import { decide } from '../scheduling/decide.ts';
import type { Bind, Obstacle } from '../scheduling/decision.ts';
import { trialIds } from '../scheduling/fits.ts';
import { applyBind } from '../scheduling/round.ts';
import { stepWorkload } from '../workload.ts';
import { reasonText } from './ailments.ts';
import { censusOf, primaryReason, type ReasonCounts } from './census.ts';
import { keptText } from './kept-by.ts';
import { reasonsOf } from './reasons.ts';
import { mend } from './remedies/mend.ts';
import { openNodes } from './remedies/open-nodes.ts';
import { raiseLimit } from './remedies/raise-limit.ts';
import { relax } from './remedies/relax.ts';
import { repartition } from './remedies/repartition.ts';
import { smallerAsk } from './remedies/smaller-ask.ts';
import { stop } from './remedies/stop.ts';
import { waitEnds } from './remedies/wait-ends.ts';
import { waitTurn } from './remedies/wait-turn.ts';
import { type Candidate, leastHarmfulFirst, type Remedy, type RemedyKind } from './remedy.ts';
import { type GangRoom, sentenceFor } from './sentence.ts';
import { fitsNow, startsAfter, type Trial, trialOf } from './trial.ts';

export interface ReasonCount {
  readonly reason: WaitingReason;
  readonly count: number;
  readonly text: string;
}

export interface Explanation {
  readonly sentence: string;
  readonly reason: WaitingReason;
  readonly counts: readonly ReasonCount[];
  /** What was looked at: all GPUs, and all nodes, that have reported. */
  readonly lookedAt: { readonly gpus: number; readonly nodes: number };
  /** So many queued workloads are looked at before it. */
  readonly before: number;
  /** Absent: it runs alone. */
  readonly gang: GangRoom | undefined;
  /** The least harmful first. */
  readonly remedies: readonly Remedy[];
}

/** At most so many remedies are told. */
const remediesMax = 6;

/** `undefined` when there is no such workload in the queue. */
export function explain(cluster: Cluster, id: WorkloadId, nowMs: number): Explanation | undefined {
  const workload = cluster.workloads.get(id);
  if (workload === undefined || workload.phase !== 'queued') return undefined;
  const lookedAt = { gpus: cluster.gpus().length, nodes: cluster.observed.size };
  const decision = decide(cluster, { nextAllocationId: trialIds(), nowMs });
  const own = decision.binds.find((bind) => bind.workload === id);
  if (own !== undefined) {
    const sentence = `${workload.name} starts at the next look: there is a place for it on ${own.placement.node}.`;
    return { sentence, reason: 'PendingEvaluation', counts: [], lookedAt, before: 0, gang: undefined, remedies: [] };
  }
  const isBeneficiary = decision.evictions.some(({ beneficiary }) => beneficiary === id);
  const obstacle = isBeneficiary ? 'evicting' : (decision.waiting.find((one) => one.workload === id)?.obstacle ?? 'room');
  const trial = trialOf(cluster, workload, obstacle, nowMs);
  const turn = fitsNow(trial) || obstacle === 'kept' ? waitTurn(trial) : [];
  // What the queue before it takes in this round is not there for it.
  const { reasons, gang, candidates } = cluster.attempt(() => {
    giveTheirPlaces(cluster, decision.binds, nowMs);
    return { ...lookAround(trial, obstacle), candidates: [...turn, ...candidatesFor(trial)] };
  });
  const remedies = told(candidates.filter(({ changes }) => startsAfter(trial, changes)));
  const reason = primaryReason(reasons);
  const { before } = trial;
  const kept = obstacle === 'kept' ? keptText(cluster, workload, nowMs) : undefined;
  const textOf = (one: WaitingReason): string => (one === 'RoomIsKept' ? kept : undefined) ?? reasonText(cluster, workload.model, one);
  const counts = [...reasons]
    .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
    .map(([one, count]): ReasonCount => ({ reason: one, count, text: textOf(one) }));
  return {
    sentence: sentenceFor(cluster, workload, { reason, reasons, before, gang, remedies, textOf }),
    reason,
    counts,
    lookedAt,
    before,
    gang,
    remedies,
  };
}

/** Work starts as decided. */
export function giveTheirPlaces(cluster: Cluster, binds: readonly Bind[], nowMs: number): void {
  for (const bind of binds) {
    const other = cluster.workloads.get(bind.workload);
    if (other === undefined) continue;
    applyBind(cluster, other, bind, nowMs);
    const record = stepWorkload(other, { kind: 'bound', allocation: bind.allocation, placement: bind.placement, atMs: nowMs });
    cluster.apply({ kind: 'workload', record });
  }
}

function lookAround(trial: Trial, obstacle: Obstacle): { readonly reasons: ReasonCounts; readonly gang: GangRoom | undefined } {
  const { cluster, workload, members, least } = trial;
  const reasons = reasonsOf(cluster, workload, obstacle);
  if (workload.gang === undefined) return { reasons, gang: undefined };
  const { places, nodes } = censusOf(cluster, workload);
  return { reasons, gang: { members: members.length, least, places: Number.isFinite(places) ? places : members.length, nodes } };
}

function candidatesFor(trial: Trial): readonly Candidate[] {
  return [waitEnds, smallerAsk, relax, openNodes, repartition, raiseLimit, mend, stop].flatMap((look) => look(trial));
}

/** One of each kind before the second of any; then the least harmful first. */
function told(candidates: readonly Candidate[]): readonly Remedy[] {
  const seen = new Map<RemedyKind, number>();
  const rounds = candidates.map(({ remedy }) => {
    const round = seen.get(remedy.kind) ?? 0;
    seen.set(remedy.kind, round + 1);
    return { remedy, round, rank: leastHarmfulFirst.indexOf(remedy.kind) };
  });
  return rounds
    .sort((a, b) => a.round - b.round || a.rank - b.rank)
    .slice(0, remediesMax)
    .sort((a, b) => a.rank - b.rank || a.round - b.round)
    .map(({ remedy }) => remedy);
}
