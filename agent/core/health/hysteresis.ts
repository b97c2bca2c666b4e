// When a finding is believed. One sample proves nothing: what comes and goes would be a condition that comes and goes.

/** What one look says of a cause. `unknown`: it was not measured, or stands between the two. */
export type Verdict = 'present' | 'absent' | 'unknown';

/** How long a cause must be seen before a finding is raised, and be gone before it is cleared. */
export interface Patience {
  readonly raiseAfterMs: number;
  /** At least 1; so many looks in a row. */
  readonly raiseAfterLooks: number;
  readonly clearAfterMs: number;
}

export interface Finding {
  readonly raised: boolean;
  /** Looks in a row that speak against `raised`; absent while none does. */
  readonly turn: Turn | undefined;
}

interface Turn {
  readonly looks: number;
  /** Time between looks that agree; what nobody measured is not counted. */
  readonly heldMs: number;
  /** Absent after a look that knew nothing. */
  readonly lastMs: number | undefined;
}

export const notFound: Finding = { raised: false, turn: undefined };

/** @param atMs monotonic, never less than at the look before. */
export function look(finding: Finding, verdict: Verdict, atMs: number, patience: Patience): Finding {
  if (verdict === 'unknown')
    return finding.turn?.lastMs === undefined ? finding : { ...finding, turn: { ...finding.turn, lastMs: undefined } };
  if ((verdict === 'present') === finding.raised) return finding.turn === undefined ? finding : { ...finding, turn: undefined };
  const before = finding.turn;
  const turn: Turn = {
    looks: (before?.looks ?? 0) + 1,
    heldMs: (before?.heldMs ?? 0) + (before?.lastMs === undefined ? 0 : atMs - before.lastMs),
    lastMs: atMs,
  };
  const enough = finding.raised
    ? turn.heldMs >= patience.clearAfterMs
    : turn.looks >= patience.raiseAfterLooks && turn.heldMs >= patience.raiseAfterMs;
  return enough ? { raised: !finding.raised, turn: undefined } : { raised: finding.raised, turn };
}
