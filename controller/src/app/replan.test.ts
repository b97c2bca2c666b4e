import { formatSlice } from '@astrago/shared/domain/mig/slice';
import { describe, expect, it } from 'vitest';
import { auditInvariants } from '#core/audit';
import { h100 } from '#core/cluster/sample-cluster';
import type { RepartitionMode } from '#core/repartition/when-to-act';
import { turns } from '../testing/hand-clock.ts';
import { LoopBench } from '../testing/loop-bench.ts';
import { putPool } from './commands/govern.ts';

const running = { kind: 'running', startedAtMs: 1 } as const;
const exited = { kind: 'exited', exitCode: 143, startedAtMs: 1, endedAtMs: 2 } as const;

/** One H100 on which w-3 sits in the middle of what 4g.40gb needs, and big waits for that. */
async function fragmented(restartable = true): Promise<LoopBench> {
  const bench = new LoopBench();
  await bench.start();
  for (const name of names) await bench.submit(name, '1g.10gb', restartable);
  for (const name of names) await bench.report(name, running);
  const middle = names.find((name) => [0, 1, 2, 3].includes(startOf(bench, name))) ?? expect.unreachable();
  for (const name of names) {
    if (name === middle) continue;
    await bench.stop(name);
    await bench.report(name, exited);
  }
  await bench.submit('big', '4g.40gb');
  expect(bench.phaseOf('big')).toBe('queued');
  mover = middle;
  return bench;
}

const names = ['w-0', 'w-1', 'w-2', 'w-3', 'w-4', 'w-5', 'w-6'];
let mover = '';

function startOf(bench: LoopBench, name: string): number {
  return bench.opened.store.findWorkload(name, undefined)?.devices[0]?.slice?.start ?? -1;
}

async function setMode(bench: LoopBench, repartition: RepartitionMode): Promise<void> {
  const set = putPool(bench.controller.journal, 'admin', { model: h100.model, repartition });
  await turns();
  await set;
}

async function settled<T>(asked: Promise<T>): Promise<T> {
  const answer = asked.catch((refusal: unknown) => Promise.reject(refusal));
  answer.catch(() => undefined);
  await turns();
  return answer;
}

const auditLog = (bench: LoopBench) =>
  bench.opened.raw((database) => database.prepare("SELECT actor || ' ' || action FROM audit ORDER BY sequence").pluck().all() as string[]);

describe('proposing', () => {
  it('says which work has to move, what that loses and what fits then, under the same id until things change', async () => {
    await using bench = await fragmented();
    await bench.controller.replanner.round();
    const [proposal] = bench.controller.replanner.proposals();
    expect(proposal).toMatchObject({
      model: h100.model,
      verdict: { kind: 'propose' },
      plan: { moves: [{}] },
      cost: { sliceSeconds: expect.any(Number) },
    });
    expect(proposal?.text).toContain('1 x 4g.40gb fit after moving');
    await bench.clock.advance(5000);
    await bench.controller.replanner.round();
    // Nothing has changed, so that nothing is planned again.
    expect(bench.controller.replanner.proposals()[0]).toMatchObject({ id: proposal?.id, madeAtMs: proposal?.madeAtMs });
    expect(bench.logged).toEqual([]);
  });

  it('has nothing to propose where nothing may move, nothing waits, or it is off', async () => {
    await using stays = await fragmented(false);
    await stays.controller.replanner.round();
    expect(stays.controller.replanner.proposals()).toEqual([]);
    await using bench = await fragmented();
    await setMode(bench, 'off');
    await bench.controller.replanner.round();
    expect(bench.controller.replanner.proposals()).toEqual([]);
    await setMode(bench, 'propose');
    await bench.controller.replanner.round();
    expect(bench.controller.replanner.proposals()).toHaveLength(1);
    await bench.stop('big');
    await bench.controller.replanner.round();
    expect(bench.controller.replanner.proposals()).toEqual([]);
  });
});

describe('carrying a proposal out', () => {
  it('stops what moves, begins it elsewhere only when it has ended, and lets what waits begin', async () => {
    await using bench = await fragmented();
    await bench.controller.replanner.round();
    const id = bench.controller.replanner.proposals()[0]?.id ?? expect.unreachable();
    const old = bench.opened.store.findWorkload(mover, undefined)?.allocation ?? expect.unreachable();
    const before = startOf(bench, mover);

    await settled(bench.controller.replanner.apply('admin', id));

    expect(bench.ordered).toEqual([[mover, 'stop']]);
    expect(bench.phaseOf(mover)).toBe('starting');
    expect([before, startOf(bench, mover)]).toEqual([
      expect.toSatisfy((start: number) => start < 4),
      expect.toSatisfy((start: number) => start >= 4),
    ]);
    expect(bench.phaseOf('big')).toBe('queued');
    expect(auditInvariants(bench.controller.cluster)).toEqual([]);

    await bench.reportOf(old, exited);

    expect(bench.ordered).toEqual(
      expect.arrayContaining([
        [mover, 'run'],
        ['big', 'run'],
      ]),
    );
    expect(bench.phaseOf('big')).toBe('starting');
    await bench.report(mover, running);
    expect(bench.phaseOf(mover)).toBe('running');
    expect(
      [...bench.controller.cluster.allocations.values()].map(({ devices }) => devices.map(({ slice }) => slice && formatSlice(slice))),
    ).toEqual(expect.arrayContaining([['4g.40gb@0']]));
    expect(auditInvariants(bench.controller.cluster)).toEqual([]);
    expect(auditLog(bench)).toEqual(expect.arrayContaining(['admin repartition', 'admin move']));
    expect(bench.controller.replanner.proposals()).toEqual([]);
  });

  it('is refused when the cluster has changed, or there is no such proposal', async () => {
    await using bench = await fragmented();
    await bench.controller.replanner.round();
    const id = bench.controller.replanner.proposals()[0]?.id ?? expect.unreachable();
    await bench.stop(mover);
    await expect(settled(bench.controller.replanner.apply('admin', id))).rejects.toMatchObject({ code: 'stale-proposal' });
    await expect(settled(bench.controller.replanner.apply('admin', 'prp_no'))).rejects.toMatchObject({ code: 'not-found' });
    expect(auditLog(bench)).not.toContain('admin move');
  });

  it('loses nothing when what moves is stopped on its way', async () => {
    await using bench = await fragmented();
    await bench.controller.replanner.round();
    const id = bench.controller.replanner.proposals()[0]?.id ?? expect.unreachable();
    const old = bench.opened.store.findWorkload(mover, undefined)?.allocation ?? expect.unreachable();
    await settled(bench.controller.replanner.apply('admin', id));
    await bench.stop(mover);
    expect(bench.ordered).toEqual([[mover, 'stop']]);
    await bench.reportOf(old, exited);
    await bench.report(mover, { kind: 'failed', failure: 'never-started', detail: 'it was told to stop first' });
    expect(bench.phaseOf(mover)).toBe('cancelled');
    expect(
      [...bench.controller.cluster.allocations.values()].map(({ workload }) => bench.controller.cluster.workloads.get(workload)?.name),
    ).toEqual(['big']);
  });

  it('does it by itself in mode act, once the demand has been there for a while', async () => {
    await using bench = await fragmented();
    await setMode(bench, 'act');
    await bench.controller.replanner.round();
    expect(bench.controller.replanner.proposals()).toMatchObject([{ verdict: { kind: 'wait', reason: 'settling' } }]);
    expect(bench.phaseOf(mover)).toBe('running');
    const old = bench.opened.store.findWorkload(mover, undefined)?.allocation ?? expect.unreachable();
    // The node goes on to be heard, and the loop looks by itself.
    for (let seconds = 0; seconds < 30; seconds += 5) {
      expect(bench.phaseOf(mover)).toBe('running');
      await bench.clock.advance(5000);
      await bench.reportOf(old, running);
    }
    expect(bench.phaseOf(mover)).toBe('starting');
    expect(auditLog(bench)).toEqual(expect.arrayContaining(['repartition repartition', 'repartition move']));
  });
});
