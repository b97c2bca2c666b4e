// All that is believed of one GPU's health. A value: each event makes the next one.
import type { ConditionKind } from '@astrago/shared/domain/condition';
import type { GpuSample } from '../telemetry/sample.ts';
import { type CountedTimes, countTimes } from './counted-time.ts';
import { type Finding, look, notFound } from './hysteresis.ts';
import { type RecoveryWord, wasReset } from './recovery.ts';
import { type Around, type Measured, type SampleRule, sampleRules, timesCounted } from './sample-rules.ts';
import { conditionOfClass, xidFacts } from './xid-catalog.ts';
import { afterDriversWord, afterResetAt, describeXids, remember, withoutPassed, type Xid, type XidMemory } from './xid-memory.ts';

export interface GpuHealth {
  /** By id of the rule. */
  readonly findings: ReadonlyMap<string, Finding & { readonly detail: string }>;
  readonly xids: XidMemory;
  /** When it was reset last, if it was: what was logged before is void, also when it is read later. */
  readonly resetMs: number | undefined;
  readonly last: GpuSample | undefined;
  readonly counted: CountedTimes;
  readonly widestLink: number;
  /** What the driver's log said last; a sample that says it too is believed before it. */
  readonly logged: RecoveryWord | undefined;
  /** Since when, and how often in a row, samples have said what the driver asks for. */
  readonly word: { readonly sinceMs: number; readonly looks: number } | undefined;
}

export interface HealthFinding {
  readonly kind: ConditionKind;
  readonly detail: string;
  /** Monotonic; absent where it is now that it is found. */
  readonly sinceMs: number | undefined;
}

export const unexamined: GpuHealth = {
  findings: new Map(),
  xids: new Map(),
  resetMs: undefined,
  last: undefined,
  counted: new Map(),
  widestLink: 0,
  logged: undefined,
  word: undefined,
};

/** After an Xid the driver takes a moment to know what it asks for. */
const wordSettles = { ms: 30_000, looks: 3 } as const;

/** @param atMs monotonic, here and below; the sample's own wall clock only tells one sample from the next. */
export function afterSample(before: GpuHealth, sample: GpuSample, atMs: number): GpuHealth {
  const reset = before.last !== undefined && wasReset(before.last, sample);
  const health = reset ? afterReset(before, atMs) : before;
  const said = sample.words.recoveryAction;
  const around: Around = {
    counted: countTimes(health.counted, timesCounted, sample.values, atMs),
    widestLink: Math.max(health.widestLink, sample.values['pcie-width'] ?? 0),
    recovery: said ?? health.logged,
  };
  const word = said === undefined ? undefined : { sinceMs: health.word?.sinceMs ?? atMs, looks: (health.word?.looks ?? 0) + 1 };
  const settled = word !== undefined && word.looks >= wordSettles.looks && atMs - word.sinceMs >= wordSettles.ms;
  return {
    ...health,
    findings: examine(health.findings, sampleRules, sample, around, atMs),
    xids: settled ? afterDriversWord(health.xids, atMs - wordSettles.ms) : health.xids,
    last: sample,
    counted: around.counted,
    widestLink: around.widestLink,
    logged: said ?? health.logged,
    word,
  };
}

/** No sample came in time: nothing is known, so nothing is raised and nothing is cleared. */
export function afterSilence(health: GpuHealth): GpuHealth {
  const findings = new Map(
    [...health.findings].map(([id, { detail, ...finding }]) => [id, { ...look(finding, 'unknown', 0, neverMind), detail }]),
  );
  return { ...health, findings, last: undefined, counted: new Map(), word: undefined };
}

/** @param atMs of the Xid, which may be long before now where it was read from an old log. */
export function afterXid(health: GpuHealth, xid: Xid, atMs: number): GpuHealth {
  if (isVoid(health, atMs)) return health;
  const xids = remember(health.xids, xid, atMs);
  // What the driver asked for before it says nothing about it.
  return xids === health.xids ? health : { ...health, xids, word: undefined };
}

/** The driver has logged that it asks for something else. Believed at once: the GPU may never answer a sample again. */
export function afterRecoveryNote(health: GpuHealth, word: RecoveryWord, atMs: number): GpuHealth {
  if (isVoid(health, atMs)) return health;
  const rules = sampleRules.filter(({ kind }) => kind.startsWith('recovery-'));
  const around: Around = { counted: health.counted, widestLink: health.widestLink, recovery: word };
  return { ...health, logged: word, word: undefined, findings: examine(health.findings, rules, nothing, around, atMs) };
}

/** The GPU was reset at `atMs`: what was logged before is void. What samples show is cleared by samples. */
export function afterReset(health: GpuHealth, atMs: number): GpuHealth {
  const logged = health.logged === undefined ? undefined : 'none';
  const resetMs = Math.max(atMs, health.resetMs ?? atMs);
  return { ...health, xids: afterResetAt(health.xids, atMs), resetMs, last: undefined, logged, word: undefined };
}

function isVoid(health: GpuHealth, atMs: number): boolean {
  return health.resetMs !== undefined && atMs <= health.resetMs;
}

/** What is to be told now, one finding a kind. */
export function findingsOf(health: GpuHealth, nowMs: number): readonly HealthFinding[] {
  const told = new Map<ConditionKind, Omit<HealthFinding, 'kind'>>();
  for (const { id, kind } of sampleRules) {
    const finding = health.findings.get(id);
    if (finding?.raised === true && !told.has(kind)) told.set(kind, { detail: finding.detail, sinceMs: undefined });
  }
  const open = [...withoutPassed(health.xids, nowMs).values()];
  const byKind = Map.groupBy(open, ({ code }) => conditionOfClass[xidFacts(code).xidClass]);
  for (const [kind, xids] of byKind)
    if (kind !== undefined) told.set(kind, { detail: describeXids(xids), sinceMs: Math.min(...xids.map(({ firstMs }) => firstMs)) });
  return [...told].map(([kind, rest]) => ({ kind, ...rest }));
}

/** Forgets what has passed, so that memory does not grow with time. */
export function tidied(health: GpuHealth, nowMs: number): GpuHealth {
  const xids = withoutPassed(health.xids, nowMs);
  return xids === health.xids ? health : { ...health, xids };
}

const nothing: Measured = { atMs: 0, values: {}, words: {} };
const neverMind = { raiseAfterMs: 0, raiseAfterLooks: 1, clearAfterMs: 0 } as const;

function examine(
  findings: GpuHealth['findings'],
  rules: readonly SampleRule[],
  sample: Measured,
  around: Around,
  atMs: number,
): GpuHealth['findings'] {
  const next = new Map(findings);
  for (const rule of rules) {
    const before = findings.get(rule.id);
    const { verdict, detail } = rule.look(sample, around);
    const finding = look(before ?? notFound, verdict, atMs, rule.patience);
    // A finding that is not raised and not on its way needs no place.
    if (!finding.raised && finding.turn === undefined) next.delete(rule.id);
    else next.set(rule.id, { ...finding, detail: verdict === 'present' ? detail : (before?.detail ?? detail) });
  }
  return next;
}
