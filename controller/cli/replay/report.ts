// What became of a replayed trace. Pure: from the records to the numbers.
import type { Why, Workload } from '@astrago/api';

export interface Submission {
  readonly name: string;
  /** Absent when it was refused. */
  readonly id?: string;
  readonly refusal?: { readonly code: string; readonly detail: string };
}

export interface Recorded {
  readonly submissions: readonly Submission[];
  readonly workloads: readonly Workload[];
  /** By workload id, of those that wait. */
  readonly whys: ReadonlyMap<string, Pick<Why, 'reason' | 'sentence'>>;
  readonly submitMs: number;
  readonly wallMs: number;
  readonly audit: { readonly rounds: number; readonly findings: readonly string[] };
}

export interface Spread {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface ReplayReport {
  readonly rows: number;
  readonly submitted: number;
  readonly refused: Readonly<Record<string, number>>;
  readonly ended: Readonly<Record<string, number>>;
  readonly endReasons: Readonly<Record<string, number>>;
  readonly waiting: Readonly<Record<string, number>>;
  /** Names of those that neither ended nor wait with a reason. */
  readonly unexplained: readonly string[];
  readonly submissionsPerSecond: number;
  readonly placementsPerSecond: number | undefined;
  readonly submitToPlacedMs: Spread | undefined;
  readonly submitToRunningMs: Spread | undefined;
  readonly audit: { readonly rounds: number; readonly findings: readonly string[] };
  readonly submitMs: number;
  /** From the first submission to the last end, by the controller's clock. */
  readonly workMs: number | undefined;
  /** Of the whole command; with work that waits it has the time until that was believed. */
  readonly wallMs: number;
}

export function reportOfReplay(recorded: Recorded): ReplayReport {
  const known = new Map(recorded.workloads.map((workload) => [workload.id, workload]));
  const accepted = recorded.submissions.filter((submission) => submission.id !== undefined);
  const unexplained: string[] = [];
  const waiting: string[] = [];
  for (const submission of accepted) {
    const workload = known.get(submission.id as string);
    if (workload?.endedAtMs !== undefined) continue;
    const reason = recorded.whys.get(submission.id as string)?.reason;
    if (workload?.phase === 'queued' && reason !== undefined && reason !== 'PendingEvaluation') waiting.push(reason);
    else unexplained.push(`${submission.name} (${workload?.phase ?? 'not listed'})`);
  }
  const ended = recorded.workloads.filter((workload) => workload.endedAtMs !== undefined);
  const placedAt = recorded.workloads.map((workload) => workload.placedAtMs).filter((at) => at !== undefined);
  const placingMs = placedAt.length < 2 ? 0 : extent(placedAt);
  return {
    rows: recorded.submissions.length,
    submitted: accepted.length,
    refused: counted(recorded.submissions.flatMap((submission) => submission.refusal?.code ?? [])),
    ended: counted(ended.map((workload) => workload.phase)),
    endReasons: counted(ended.map((workload) => workload.reason ?? 'none')),
    waiting: counted(waiting),
    unexplained,
    submissionsPerSecond: perSecond(accepted.length, recorded.submitMs),
    placementsPerSecond: placingMs === 0 ? undefined : perSecond(placedAt.length, placingMs),
    submitToPlacedMs: spread(
      recorded.workloads.flatMap((workload) => (workload.placedAtMs === undefined ? [] : workload.placedAtMs - workload.submittedAtMs)),
    ),
    submitToRunningMs: spread(
      recorded.workloads.flatMap((workload) => (workload.startedAtMs === undefined ? [] : workload.startedAtMs - workload.submittedAtMs)),
    ),
    audit: recorded.audit,
    submitMs: Math.round(recorded.submitMs),
    workMs: ended.length === 0 ? undefined : extent(ended.flatMap((workload) => [workload.submittedAtMs, workload.endedAtMs ?? 0])),
    wallMs: Math.round(recorded.wallMs),
  };
}

/** Nearest rank: the smallest value that at least so many percent do not exceed. */
export function spread(values: readonly number[]): Spread | undefined {
  if (values.length === 0) return undefined;
  const sorted = [...values].sort((a, b) => a - b);
  const rank = (part: number): number => sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] as number;
  return { count: sorted.length, p50: rank(0.5), p99: rank(0.99), max: rank(1) };
}

/** A map of counts, the most frequent first. */
function counted(words: readonly string[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return Object.fromEntries([...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)));
}

function perSecond(count: number, ms: number): number {
  return ms <= 0 ? 0 : Number(((count * 1000) / ms).toFixed(1));
}

/** From the smallest to the largest; of any number of values, which Math.min(...) is not. */
function extent(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted.at(-1) ?? 0) - (sorted[0] ?? 0);
}
