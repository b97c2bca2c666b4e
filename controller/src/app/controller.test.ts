import { afterEach, describe, expect, it } from 'vitest';
import { LoopBench } from '../testing/loop-bench.ts';

let bench: LoopBench | undefined;
afterEach(async () => {
  await bench?.[Symbol.asyncDispose]();
  bench = undefined;
});

async function started(): Promise<LoopBench> {
  bench = new LoopBench();
  await bench.start();
  return bench;
}

describe('the loops', () => {
  it('place what is submitted and order it on its node', async () => {
    const here = await started();

    await here.submit('a', '3g.40gb');

    expect(here.phaseOf('a')).toBe('starting');
    expect(here.ordered).toEqual([['a', 'run']]);
    await here.report('a', { kind: 'running', startedAtMs: undefined });
    expect(here.phaseOf('a')).toBe('running');
  });

  it('use a freed slice at once: no round waits for its period', async () => {
    const here = await started();
    await here.submit('a', '7g.80gb');
    await here.submit('b', '7g.80gb');
    expect([here.phaseOf('a'), here.phaseOf('b')]).toEqual(['starting', 'queued']);

    await here.report('a', { kind: 'exited', exitCode: 0, startedAtMs: undefined, endedAtMs: undefined });

    expect([here.phaseOf('a'), here.phaseOf('b')]).toEqual(['succeeded', 'starting']);
    expect(here.ordered).toEqual([['b', 'run']]);
  });

  it('order a stop, and free the slice only when the agent says that nothing runs', async () => {
    const here = await started();
    await here.submit('a', '7g.80gb');
    await here.report('a', { kind: 'running', startedAtMs: undefined });
    await here.submit('b', '7g.80gb');

    await here.stop('a');
    expect(here.ordered).toEqual([['a', 'stop']]);
    await here.report('a', { kind: 'stopping' });
    expect([here.phaseOf('a'), here.phaseOf('b')]).toEqual(['stopping', 'queued']);
    await here.report('a', { kind: 'exited', exitCode: 143, startedAtMs: undefined, endedAtMs: undefined });

    expect([here.phaseOf('a'), here.phaseOf('b')]).toEqual(['cancelled', 'starting']);
    expect(here.ordered).toEqual([['b', 'run']]);
  });

  it('say why work waits, and no more once it does not', async () => {
    const here = await started();
    await here.submit('a', '7g.80gb');
    await here.submit('b', '7g.80gb');
    expect([...here.controller.waiting.counts()]).toEqual([['WaitingForSlots', 1]]);

    await here.stop('b');

    expect([...here.controller.waiting.counts()]).toEqual([]);
  });

  it('find no invariant broken on the way', async () => {
    const here = await started();
    for (const name of ['a', 'b', 'c', 'd']) await here.submit(name, '3g.40gb');
    await here.stop('a');

    expect(here.controller.auditNow()).toEqual([]);
    expect(here.logged).toEqual([]);
    expect(here.opened.store.firstBrokenAuditRow()).toBeUndefined();
  });
});
