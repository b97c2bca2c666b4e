// What follows from findings under a policy. A function: what was found and done before goes in, what is due comes out.
import type { EnforcementMode, EnforcementPolicy } from '@astrago/shared/domain/enforcement';
import { type Finding, type FindingKind, keyOf } from './finding.ts';

export type DeedKind = 'notified' | 'terminated' | 'killed' | 'held-back';

/** Why what the policy would have ended was not ended. */
export const holdTexts = {
  'controller-silent': 'the controller has not been heard for too long',
  'not-identified': 'the process cannot be seen on this node, so nobody can be sure who it is',
  protected: 'it is the first process, the kernel, the agent or what it runs under, or the supervisor of a workload',
  'gpu-not-named': 'no order names this GPU',
  'not-permitted': 'the agent may not signal it',
} as const;

export type HoldReason = keyof typeof holdTexts;

export type Deed =
  | { readonly kind: 'notified' | 'terminated' | 'killed'; readonly finding: Finding }
  | { readonly kind: 'held-back'; readonly finding: Finding; readonly reason: HoldReason };

interface Watched {
  readonly mode: EnforcementMode;
  /** How many listings in a row have shown it under this mode. */
  readonly listings: number;
  /** Since when the grace of the next deed counts: found under this mode, or told to end. Monotonic. */
  readonly sinceMs: number;
  /** When something last forbade the next deed: afterwards it gets its whole grace again. */
  readonly forbiddenAtMs: number | undefined;
  readonly told: ReadonlySet<string>;
}

/** What is being watched, by the identity of the finding. Made by {@link decide}; starts empty with each agent. */
export type Watch = ReadonlyMap<string, Watched>;

export interface EnforceFacts {
  /** Monotonic. */
  readonly nowMs: number;
  /** Why a process may not be signalled; asked only for what the policy would end. */
  readonly forbidden: (finding: Finding) => HoldReason | undefined;
}

const modeOf: Readonly<Record<FindingKind, (policy: EnforcementPolicy) => EnforcementMode>> = {
  'foreign-process': (policy) => policy.foreignProcess,
  'outside-allocation': (policy) => policy.outsideAllocation,
  'memory-over-share': (policy) => policy.memoryOverShare,
};

/**
 * Takes one listing's findings and says what is due now. A finding that is not in it any more is forgotten.
 *
 * A process is told to end when its finding was in every listing of a whole grace, and in two at least: a listing
 * alone may name a number that has gone to another process meanwhile. It is killed when that goes on for another
 * grace. Each deed is due until {@link done} has been told of it, and never again after that.
 */
export function decide(
  watch: Watch,
  findings: readonly Finding[],
  policy: EnforcementPolicy | undefined,
  facts: EnforceFacts,
): { readonly watch: Watch; readonly due: readonly Deed[] } {
  const next = new Map<string, Watched>();
  const due: Deed[] = [];
  for (const finding of findings) {
    const key = keyOf(finding);
    const mode = policy === undefined ? 'observe' : modeOf[finding.kind](policy);
    const before = watch.get(key);
    const seen = again(before, mode, facts.nowMs);
    const [watched, deed] = weigh(finding, seen, (policy?.graceSeconds ?? 0) * 1000, facts);
    next.set(key, watched);
    if (deed !== undefined && !seen.told.has(mark(deed))) due.push(deed);
  }
  return { watch: next, due };
}

/** A deed is in the ledger and done. */
export function done(watch: Watch, deed: Deed, nowMs: number): Watch {
  const key = keyOf(deed.finding);
  const watched = watch.get(key);
  if (watched === undefined) return watch;
  const told = new Set([...watched.told, mark(deed)]);
  return new Map(watch).set(key, { ...watched, told, sinceMs: deed.kind === 'terminated' ? nowMs : watched.sinceMs });
}

function again(before: Watched | undefined, mode: EnforcementMode, nowMs: number): Watched {
  if (before === undefined) return { mode, listings: 1, sinceMs: nowMs, forbiddenAtMs: undefined, told: new Set() };
  // What was found under another policy has not had the grace of this one.
  if (before.mode !== mode) return { ...before, mode, listings: 1, sinceMs: nowMs, forbiddenAtMs: undefined };
  return { ...before, listings: before.listings + 1 };
}

function weigh(finding: Finding, seen: Watched, graceMs: number, facts: EnforceFacts): readonly [Watched, Deed | undefined] {
  switch (seen.mode) {
    case 'observe':
      return [seen, undefined];
    case 'notify':
      return [seen, { kind: 'notified', finding }];
    case 'terminate': {
      const lasted = (sinceMs: number): boolean => seen.listings > 1 && facts.nowMs - sinceMs >= graceMs;
      const reason = seen.told.has('killed') ? undefined : facts.forbidden(finding);
      if (reason !== undefined)
        return [{ ...seen, forbiddenAtMs: facts.nowMs }, lasted(seen.sinceMs) ? { kind: 'held-back', finding, reason } : undefined];
      const kind = seen.told.has('terminated') ? 'killed' : 'terminated';
      return [seen, lasted(Math.max(seen.sinceMs, seen.forbiddenAtMs ?? seen.sinceMs)) ? { kind, finding } : undefined];
    }
    default:
      return seen.mode satisfies never;
  }
}

function mark(deed: Deed): string {
  return deed.kind === 'held-back' ? `held-back ${deed.reason}` : deed.kind;
}
