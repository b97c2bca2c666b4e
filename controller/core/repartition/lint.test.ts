import type { NodeName } from '@astrago/shared/domain/ids';
import type { ProfileName } from '@astrago/shared/domain/mig/profile';
import { describe, expect, it } from 'vitest';
import { h100Grid } from '../cluster/sample-cluster.ts';
import type { DemandClass } from './demand.ts';
import { planGreedily } from './greedy.ts';
import { lintPlan, type PlanFinding } from './lint.ts';
import { proposeMoves } from './migrate.ts';
import { planValue } from './plan-value.ts';
import type { Pool, PoolGpu } from './pool.ts';
import type { Claim, LayoutChange, Move, RepartitionPlan } from './repartition-plan.ts';
import { sampleGpu, samplePoolOf, sampleWant } from './sample-pool.ts';

const slice = (profile: string, start: number) => ({ profile: profile as ProfileName, start });
const gpu = (index: number, layout: string, used: string) => sampleGpu(index, h100Grid, layout, used);

/** 4g.40gb waits; 1g.10gb of w0-0 moves from the first GPU to a place cut for it on the second. */
const pool: Pool = samplePoolOf([
  gpu(0, '1g.10gb@0,3g.40gb@4', '1g.10gb@0,3g.40gb@4'),
  gpu(1, '4g.40gb@0', '4g.40gb@0'),
  { ...gpu(2, '1g.10gb@0', ''), standing: 'pinned' },
  { ...gpu(3, 'whole', ''), usedWhole: true },
]);
const demand: readonly DemandClass[] = [...sampleWant(h100Grid, '4g.40gb'), ...sampleWant(h100Grid, '1g.10gb')];

function planWithMoves(): RepartitionPlan {
  const plan = planGreedily(pool, demand);
  const base = { plan, value: planValue(plan, demand) };
  const answer = proposeMoves(pool, demand, base, { moves: 4, movesPerPiece: 2, looks: 10_000, looksPerClass: 10_000 });
  return answer.kind === 'proposal' ? answer.plan : expect.unreachable();
}

const valid = planWithMoves();

type Damage = (plan: RepartitionPlan) => RepartitionPlan;
const first = <T>(all: readonly T[]): T => all[0] ?? expect.unreachable();
const gpuAt = (index: number): PoolGpu => pool.gpus[index] ?? expect.unreachable();

function change(index: number, change: (one: LayoutChange) => LayoutChange): Damage {
  return (plan) => {
    const uuid = gpuAt(index).uuid;
    expect(plan.changes.map((one) => one.gpu)).toContain(uuid);
    return { ...plan, changes: plan.changes.map((one) => (one.gpu === uuid ? change(one) : one)) };
  };
}

function recut(index: number, cut: (slices: readonly ReturnType<typeof slice>[]) => readonly ReturnType<typeof slice>[]): Damage {
  return change(index, (one) => ({ ...one, layout: { kind: 'mig', slices: cut(one.layout.kind === 'mig' ? one.layout.slices : []) } }));
}

const move =
  (damage: (one: Move) => Move): Damage =>
  (plan) => ({ ...plan, moves: plan.moves.map(damage) });
const also =
  (index: number, layout: LayoutChange['layout']): Damage =>
  (plan) => {
    const { uuid, node, layout: before } = gpuAt(index);
    return { ...plan, changes: [...plan.changes, { gpu: uuid, node, before, layout }] };
  };
const claimOf =
  (profile: string, damage: (one: Claim) => Claim): Damage =>
  (plan) => ({
    ...plan,
    claims: plan.claims.map((one) => (one.devices[0]?.slice?.profile === profile ? damage(one) : one)),
  });

const damages: readonly (readonly [what: string, damage: Damage, kind: PlanFinding['kind']])[] = [
  ['a GPU of another pool', change(0, (one) => ({ ...one, gpu: sampleGpu(9, h100Grid, 'mig', '').uuid })), 'unknown-gpu'],
  ['the wrong node', change(0, (one) => ({ ...one, node: 'n9' as NodeName })), 'unknown-gpu'],
  ['a GPU named twice', (plan) => ({ ...plan, changes: [...plan.changes, first(plan.changes)] }), 'named-twice'],
  ['a pinned GPU', also(2, { kind: 'whole' }), 'not-to-be-touched'],
  ['a GPU that is used in one piece', also(3, { kind: 'mig', slices: [] }), 'used-lost'],
  ['another layout before', change(0, (one) => ({ ...one, before: { kind: 'whole' } })), 'before-differs'],
  ['no change', change(0, (one) => ({ ...one, layout: one.before })), 'changes-nothing'],
  [
    'a start that the device has not',
    recut(0, (slices) => slices.map((one) => (one.profile === '4g.40gb' ? { ...one, start: 1 } : one))),
    'illegal-layout',
  ],
  ['slices that overlap', recut(0, (slices) => [...slices, slice('1g.10gb', 2)]), 'illegal-layout'],
  ['a slice beyond the device', recut(1, (slices) => [...slices, slice('3g.40gb', 6)]), 'illegal-layout'],
  ['a profile that the device has not', recut(1, (slices) => [...slices, slice('5g.50gb', 6)]), 'illegal-layout'],
  ['more compute than there is', recut(1, () => [slice('4g.40gb', 0), slice('3g.40gb', 4), slice('1g.10gb', 3)]), 'illegal-layout'],
  ['the media engines twice', recut(1, () => [slice('4g.40gb', 0), slice('1g.10gb+me', 4), slice('1g.10gb+me', 5)]), 'illegal-layout'],
  ['a used slice that is lost', recut(0, (slices) => slices.filter(({ start }) => start !== 4)), 'used-lost'],
  ['a used slice that is shifted', recut(1, (slices) => slices.map((one) => (one.start === 0 ? slice('2g.20gb', 0) : one))), 'used-lost'],
  ['a used GPU in one piece', change(0, (one) => ({ ...one, layout: { kind: 'whole' } })), 'used-lost'],
  ['a move that is left out', (plan) => ({ ...plan, moves: [] }), 'used-lost'],
  ['a move of nobody', move((one) => ({ ...one, workload: 'w9' })), 'move-not-allowed'],
  ['a move from elsewhere', move((one) => ({ ...one, from: { ...one.from, slice: slice('1g.10gb', 3) } })), 'move-not-allowed'],
  ['a move to another size', move((one) => ({ ...one, to: { ...one.to, slice: slice('2g.20gb', 4) } })), 'move-not-allowed'],
  ['a move to where it is', move((one) => ({ ...one, to: one.from })), 'move-not-allowed'],
  ['a move made twice', (plan) => ({ ...plan, moves: [...plan.moves, ...plan.moves] }), 'move-not-allowed'],
  ['a move to a place that is not cut', move((one) => ({ ...one, to: { ...one.to, slice: slice('1g.10gb', 3) } })), 'move-without-place'],
  ['a move to a GPU in use in one piece', move((one) => ({ ...one, to: { ...one.to, gpu: gpuAt(3).uuid } })), 'move-without-place'],
  [
    'a place for nobody',
    (plan) => ({ ...plan, claims: [...plan.claims, { ...first(plan.claims), demand: 'nobody' }] }),
    'claim-without-demand',
  ],
  ['more than is wanted', (plan) => ({ ...plan, claims: [...plan.claims, first(plan.claims)] }), 'claim-without-demand'],
  ['one place for two', (plan) => ({ ...plan, claims: [...plan.claims, first(plan.claims)] }), 'place-claimed-twice'],
  [
    'a place of another size',
    claimOf('4g.40gb', (one) => ({ ...one, devices: [{ gpu: gpuAt(2).uuid, slice: slice('1g.10gb', 0) }] })),
    'claim-without-place',
  ],
  [
    'a place that is in use',
    claimOf('4g.40gb', (one) => ({ ...one, devices: [{ gpu: gpuAt(1).uuid, slice: slice('4g.40gb', 0) }] })),
    'claim-without-place',
  ],
  [
    'a place that is not cut',
    (plan) => ({ ...plan, changes: plan.changes.filter((one) => one.gpu !== gpuAt(0).uuid), moves: [] }),
    'claim-without-place',
  ],
  ['a place on another node', claimOf('4g.40gb', (one) => ({ ...one, node: 'n9' as NodeName })), 'claim-without-place'],
  ['too many devices', claimOf('4g.40gb', (one) => ({ ...one, devices: [...one.devices, ...one.devices] })), 'claim-without-place'],
  [
    'a whole GPU for a slice',
    claimOf('4g.40gb', (one) => ({ ...one, devices: [{ gpu: gpuAt(0).uuid, slice: undefined }] })),
    'claim-without-place',
  ],
];

describe('the lint of a plan', () => {
  it('finds nothing in a valid plan with a move', () => {
    expect(valid.moves).toHaveLength(1);
    expect(valid.claims).toHaveLength(2);
    expect(lintPlan(pool, demand, valid)).toEqual([]);
  });

  it.each(damages)('finds %s', (_what, damage, kind) => {
    const findings = lintPlan(pool, demand, damage(valid));
    expect(findings.map((finding) => finding.kind)).toContain(kind);
    for (const { text } of findings) expect(text).toMatch(/\S+ .+[^.]$/);
  });

  it.each(['pinned', 'cut-by-other', 'settling', 'ailing', 'closed'] as const)('finds that a changed GPU is %s', (standing) => {
    const changed = { ...pool, gpus: pool.gpus.map((one, index) => (index === 0 ? { ...one, standing } : one)) };
    expect(lintPlan(changed, demand, valid).map(({ kind }) => kind)).toContain('not-to-be-touched');
  });

  it.each(['ailing', 'closed'] as const)('finds that a place for what waits is on a GPU that is %s', (standing) => {
    const changed = { ...pool, gpus: pool.gpus.map((one, index) => (index === 2 ? { ...one, standing } : one)) };
    expect(lintPlan(changed, demand, valid).map(({ kind }) => kind)).toEqual(['not-to-be-touched']);
  });

  it('finds that somebody who stays would move', () => {
    const stays = { kind: 'stays' } as const;
    const changed = { ...pool, gpus: pool.gpus.map((one) => ({ ...one, used: one.used.map((used) => ({ ...used, move: stays })) })) };
    expect(lintPlan(changed, demand, valid).map(({ kind }) => kind)).toEqual(['move-not-allowed']);
  });

  it('finds that a node has too little for what is to begin there', () => {
    expect(lintPlan({ ...pool, nodes: [{ ...first(pool.nodes), freeCpuMilli: 1999 }] }, demand, valid)).toEqual([
      { kind: 'node-overfull', text: 'n0 would be short of 1 thousandths of a CPU' },
    ]);
    expect(lintPlan({ ...pool, nodes: [{ ...first(pool.nodes), freeMemoryMiB: 500 }] }, demand, valid).map(({ kind }) => kind)).toEqual([
      'node-overfull',
    ]);
    expect(lintPlan({ ...pool, nodes: [] }, demand, valid).map(({ kind }) => kind)).toEqual(['node-overfull', 'node-overfull']);
  });

  it('finds a GPU cut though it cannot be', () => {
    const changed = { ...pool, gpus: pool.gpus.map((one) => ({ ...one, grid: undefined })) };
    expect(lintPlan(changed, demand, valid).map(({ kind }) => kind)).toContain('illegal-layout');
  });
});
