import type { Finding, Verdict } from './finding.ts';

/** What `astrago agent doctor --json` prints; within a schema version fields are only added. */
export interface DoctorReport {
  readonly schemaVersion: 1;
  readonly node: string;
  readonly agentVersion: string;
  readonly takenAt: string;
  readonly findings: readonly Finding[];
}

/** 1 where something keeps the agent from its work. */
export function exitCodeOf(report: DoctorReport): 0 | 1 {
  return report.findings.some(({ verdict }) => verdict === 'problem') ? 1 : 0;
}

/** One line a finding, and one for the whole. */
export function reportText(report: DoctorReport): string {
  const nameWidth = Math.max(0, ...report.findings.map(({ check }) => check.length));
  const lines = report.findings.map(({ check, verdict, text, remedy }) =>
    printable(`${verdict.padEnd(7)}  ${check.padEnd(nameWidth)}  ${text}${remedy === undefined ? '' : `. ${remedy}`}`),
  );
  const count = (verdict: Verdict): number => report.findings.filter((one) => one.verdict === verdict).length;
  return `${lines.join('\n')}\n\n${plural(count('problem'), 'problem')}, ${plural(count('warning'), 'warning')}\n`;
}

function plural(count: number, noun: string): string {
  return `${count === 0 ? 'no' : count} ${noun}${count === 1 ? '' : 's'}`;
}

/** What a driver or a file says must not steer a terminal. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '?');
}
