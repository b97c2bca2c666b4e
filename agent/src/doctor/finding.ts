/** `unknown` is what could not be examined; `skipped` is what does not apply here. Neither is a problem. */
export type Verdict = 'ok' | 'warning' | 'problem' | 'unknown' | 'skipped';

export interface Finding {
  /** Of a closed list, kebab-case; programs may ask for it. */
  readonly check: string;
  readonly verdict: Verdict;
  /** What was seen, as part of a sentence. */
  readonly text: string;
  /** What to do about it, as a sentence of its own; always there for warnings and problems. */
  readonly remedy?: string;
}

export function ok(check: string, text: string): Finding {
  return { check, verdict: 'ok', text };
}

export function warning(check: string, text: string, remedy: string): Finding {
  return { check, verdict: 'warning', text, remedy };
}

export function problem(check: string, text: string, remedy: string): Finding {
  return { check, verdict: 'problem', text, remedy };
}

export function unknown(check: string, text: string): Finding {
  return { check, verdict: 'unknown', text };
}

export function skipped(check: string, text: string): Finding {
  return { check, verdict: 'skipped', text };
}
