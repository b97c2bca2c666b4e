import { describe, expect, it } from 'vitest';
import { solveMilp } from './solve-milp.ts';

const program = 'Maximize\n o: 3 x + 2 y\nSubject To\n c: x + y <= 4\nBounds\n 0 <= x <= 3\n 0 <= y <= 3\nGeneral\n x\n y\nEnd\n';
const thread = (code: string): URL => new URL(`data:text/javascript,${encodeURIComponent(code)}`);
const solveBy = (code: string) => solveMilp(program, 100, undefined, thread(code));
const says = (value: string): string => `import { parentPort } from 'node:worker_threads'; parentPort.postMessage(${value});`;

describe('the solver in its thread', () => {
  it('solves a program', async () => {
    expect(await solveMilp(program, 10_000)).toEqual({ kind: 'solved', objective: 11, values: { x: 3, y: 1 } });
  });

  it('says when there is no solution', async () => {
    const impossible = program.replace('<= 4', '>= 9');
    expect(await solveMilp(impossible, 10_000)).toEqual({ kind: 'no-solution', status: 'Infeasible' });
  });

  it('says when the text is no program', async () => {
    expect(await solveMilp('Maximize {{', 10_000)).toEqual({ kind: 'crashed', detail: expect.stringContaining('LP model') });
  });

  it.each([
    ['throws', "throw new Error('out of order');", { kind: 'crashed', detail: 'out of order' }],
    ['throws what is no error', "throw 'out of order';", { kind: 'crashed', detail: expect.stringContaining('out of order') }],
    ['ends without a word', 'process.exit(3);', { kind: 'crashed', detail: 'the thread ended with 3 and said nothing' }],
    ['has nothing to do', '', { kind: 'crashed', detail: 'the thread ended with 0 and said nothing' }],
    ['cannot be read', 'this is no code', { kind: 'crashed', detail: expect.any(String) }],
    ['computes without end', 'for (;;);', { kind: 'timed-out', afterMs: 1100 }],
    ['waits without end', 'setInterval(() => {}, 1000);', { kind: 'timed-out', afterMs: 1100 }],
    [
      'takes all memory',
      'const all = []; for (;;) all.push(new Array(1e4).fill(all.length));',
      { kind: 'crashed', detail: expect.any(String) },
    ],
    ['says something else', says('42'), { kind: 'crashed', detail: 'the thread said what it never says' }],
    [
      'says that its time is over',
      says("{ status: 'Time limit reached', objective: 0, values: {} }"),
      { kind: 'no-solution', status: 'Time limit reached' },
    ],
  ])('answers when the thread %s', async (_what, code, outcome) => {
    expect(await (code.includes('all.push') ? solveMilp(program, 20_000, undefined, thread(code)) : solveBy(code))).toEqual(outcome);
  });

  it('is ended when nobody waits any more', async () => {
    const abort = new AbortController();
    const solved = solveMilp(program, 60_000, abort.signal, thread('for (;;);'));
    abort.abort();
    expect(await solved).toEqual({ kind: 'timed-out', afterMs: 0 });
    expect(await solveMilp(program, 60_000, abort.signal)).toEqual({ kind: 'timed-out', afterMs: 0 });
  });
});
