import { describe, expect, it } from 'vitest';
import type { Finding } from './finding.ts';
import { exitCodeOf, reportText } from './report.ts';
import { runChecks } from './run-checks.ts';
import { lines, machine } from './testing/machine.ts';

describe('checks', () => {
  const clock = { nowMs: () => 0, elapsedMs: () => 0, sleep: () => Promise.resolve() };
  const never = { ...clock, sleep: () => new Promise<void>(() => undefined) };

  it('that hang or break are findings, and the others are shown in their order', async () => {
    const good = { name: 'good', run: () => Promise.resolve([{ check: 'good', verdict: 'ok', text: 'fine' } as const]) };
    const bad = { name: 'bad', run: () => Promise.reject(new Error('broken')) };
    expect(lines(await runChecks([bad, good], machine(), { clock: never, limitMs: 1000 }))).toEqual([
      'unknown bad: could not be examined (broken)',
      'ok good: fine',
    ]);
    const hanging = { name: 'hanging', run: () => new Promise<never>(() => undefined) };
    expect(lines(await runChecks([hanging], machine(), { clock, limitMs: 1000 }))).toEqual([
      'unknown hanging: could not be examined within 1 s',
    ]);
  });

  it('come to an exit code and one line each', () => {
    const report = (findings: readonly Finding[]) => ({ schemaVersion: 1, node: 'n', agentVersion: '0', takenAt: '', findings }) as const;
    const fine: Finding = { check: 'a', verdict: 'ok', text: 'fine' };
    const bad: Finding = { check: 'longer', verdict: 'problem', text: 'a\u001b[31mb', remedy: 'Do it.' };
    const soso: Finding = { check: 'b', verdict: 'warning', text: 'c', remedy: 'Do that.' };

    expect(exitCodeOf(report([fine, soso]))).toBe(0);
    expect(exitCodeOf(report([fine, bad]))).toBe(1);
    expect(reportText(report([fine, bad, soso]))).toBe(
      ['ok       a       fine', 'problem  longer  a?[31mb. Do it.', 'warning  b       c. Do that.', '', '1 problem, 1 warning', ''].join(
        '\n',
      ),
    );
  });
});
