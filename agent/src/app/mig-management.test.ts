import { systemClock } from '@astrago/shared/runtime/clock';
import { afterEach, describe, expect, it } from 'vitest';
import { type NodeBench, startBench } from '../testing/node-bench.ts';
import { until } from '../testing/until.ts';
import { MigManagement, type MigManagementDeps, parseMigManagement } from './mig-management.ts';
import { NodeState, nodeKey } from './node-state.ts';

function management(mode: MigManagementDeps['mode'], find: () => Promise<readonly string[]>) {
  const state = new NodeState(() => 1);
  const told: string[] = [];
  let changes = 0;
  const made = new MigManagement({
    mode,
    finders: [{ find: () => Promise.resolve([]) }, { find }],
    state,
    clock: systemClock,
    periodMs: 5,
    onChange: () => {
      changes += 1;
    },
    log: (_facts, message) => told.push(message),
  });
  const condition = (): string | undefined => state.inventory.current?.conditions.get(nodeKey)?.[0]?.detail;
  return { made, told, condition, changes: () => changes };
}

describe('who may change layouts', () => {
  it('nobody, before the first look', () => {
    expect(management('auto', () => Promise.resolve([])).made.mayChangeLayouts()).toMatchObject({ kind: 'no' });
  });

  it('the agent, as long as no other manager is there', async () => {
    let found: readonly string[] = [];
    const { made, condition, told, changes } = management('auto', () => Promise.resolve(found));
    await made.look();
    expect([made.mayChangeLayouts(), condition(), changes()]).toEqual([{ kind: 'yes' }, undefined, 1]);

    found = ['the process nvidia-mig-manager (7)', 'the unit x'];
    await made.look();
    await made.look();
    expect(made.mayChangeLayouts()).toEqual({ kind: 'no', because: condition() });
    expect(condition()).toContain('the process nvidia-mig-manager (7), the unit x. Disable it');
    expect(changes()).toBe(2);

    found = [];
    await made.look();
    expect([made.mayChangeLayouts(), condition(), changes()]).toEqual([{ kind: 'yes' }, undefined, 3]);
    expect(told).toEqual(['layouts are only observed', 'layouts are changed again']);
  });

  it('never the agent where it was told to observe, always where it was told to take over', async () => {
    const observing = management('observe', () => Promise.resolve([]));
    await observing.made.look();
    expect(observing.made.mayChangeLayouts()).toMatchObject({
      kind: 'no',
      because: expect.stringContaining('ASTRAGO_MIG_MANAGEMENT=observe') as string,
    });
    expect(observing.condition()).toContain('observed');

    const taking = management('take-over', () => Promise.resolve(['the process nvidia-mig-manager (7)']));
    expect(taking.made.mayChangeLayouts()).toEqual({ kind: 'yes' });
    await taking.made.look();
    expect([taking.made.mayChangeLayouts(), taking.condition()]).toEqual([{ kind: 'yes' }, undefined]);
    expect(taking.told).toEqual(['another MIG manager is here, and layouts are changed all the same']);
  });

  it('is as it was while nobody can look, and is looked at again', async () => {
    let looks = 0;
    const { made, told } = management('auto', () => {
      looks += 1;
      return looks === 2 ? Promise.reject(new Error('no rights')) : Promise.resolve(looks === 1 ? ['x'] : []);
    });
    const ending = new AbortController();
    const running = made.run(ending.signal);
    await until(() => told.includes('looking for other MIG managers failed') && looks >= 2, 'a look has failed');
    await until(() => made.mayChangeLayouts().kind === 'yes', 'it is looked at again');
    ending.abort();
    await running;
    expect(told).toEqual(['layouts are only observed', 'looking for other MIG managers failed', 'layouts are changed again']);
  });

  it('is set by one of three words', () => {
    expect([undefined, '', 'auto', 'observe', 'take-over'].map(parseMigManagement)).toEqual([
      'auto',
      'auto',
      'auto',
      'observe',
      'take-over',
    ]);
    expect(() => parseMigManagement('takeover')).toThrow('ASTRAGO_MIG_MANAGEMENT must be auto, observe or take-over, not "takeover"');
  });
});

describe('a GPU while layouts are only observed', () => {
  let bench: NodeBench | undefined;
  afterEach(async () => {
    await bench?.[Symbol.asyncDispose]();
    bench = undefined;
  });

  it('is left alone in the middle of its way, without findings of ours, and goes on where it stopped', async () => {
    let may = true;
    const mayChangeLayouts = () => (may ? ({ kind: 'yes' } as const) : ({ kind: 'no', because: 'somebody else' } as const));
    bench = await startBench({ deps: { mayChangeLayouts, prepareTimeoutMs: 500 } });
    await bench.order({ 0: '3g.40gb@0' });
    await bench.becomes('3g.40gb@0');
    may = false;
    const before = bench.said.length;

    const waiting = bench.run(bench.id(), 'true', bench.on('7g.80gb@0'));
    await bench.order({ 0: '7g.80gb@0' }, [waiting]);
    expect(await bench.reaches(waiting.id, 'failed')).toMatchObject({ detail: expect.stringContaining('somebody else') as string });
    expect(bench.said.slice(before)).toEqual([]);
    expect(bench.conditions(bench.gpu())).toEqual([]);

    may = true;
    bench.agent.reconsiderLayouts();
    await bench.becomes('7g.80gb@0');
    expect(bench.said.slice(before)).toEqual(['destroy 0 3g.40gb@0', 'create 0 7g.80gb@0']);
  });
});
