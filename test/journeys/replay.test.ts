// A real trace through the program as a user has it: sixteen simulated nodes of eight H100, every agent a process.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Installed } from '../world/installed.ts';

const trace = join(import.meta.dirname, '../fixtures/openb/openb_pod_list_default.first-2000.csv');

interface Report {
  readonly submitted: number;
  readonly ended: Readonly<Record<string, number>>;
  readonly waiting: Readonly<Record<string, number>>;
  readonly unexplained: readonly string[];
  readonly audit: { readonly rounds: number; readonly findings: readonly string[] };
}

describe('the first 300 pods of a recorded cluster', () => {
  it('all end or wait with a reason, and no invariant breaks on the way', () => {
    using installed = new Installed();
    const up = installed.run('./astrago up --detach --nodes 16 --gpus 8 --model h100-80gb --port 0');
    expect([up.code, up.stderr.replace(/^Starting .*\n/, '')]).toEqual([0, '']);

    const report = installed.json(`./astrago replay ${trace} --limit 300 --burst --timeout 200`, 240_000) as Report;

    expect(report.submitted).toBe(300);
    expect(report.unexplained).toEqual([]);
    const count = (counts: Readonly<Record<string, number>>): number => Object.values(counts).reduce((sum, one) => sum + one, 0);
    expect(count(report.ended) + count(report.waiting)).toBe(300);
    expect(report.audit.rounds).toBeGreaterThan(0);
    expect(report.audit.findings).toEqual([]);
  }, 300_000);
});
