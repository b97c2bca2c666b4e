import type { GpuUuid, NodeName } from '@astrago/shared/domain/ids';
import { describe, expect, it } from 'vitest';
import type { RepartitionPlan } from './repartition-plan.ts';
import { type Patience, type Situation, whatToDo } from './when-to-act.ts';

const gpu = 'GPU-1' as GpuUuid;
const plan: RepartitionPlan = {
  changes: [{ gpu, node: 'a' as NodeName, before: { kind: 'mig', slices: [] }, layout: { kind: 'whole' } }],
  claims: [],
  moves: [],
};
const patience: Patience = { settleMs: 100, cooldownMs: 1000, returnMs: 5000, gainMin: 8, horizonSeconds: 600 };
const ripe: Situation = {
  mode: 'act',
  plan,
  value: { met: 20, wanted: 30, cost: 10 },
  valueAsItIs: { met: 12, wanted: 30, cost: 0 },
  moving: undefined,
  unmetSinceMs: 9000,
  actedAtMs: undefined,
  left: [],
  nowMs: 10_000,
};
const verdict = (more: Partial<Situation>) => whatToDo({ ...ripe, ...more }, patience);

describe('what becomes of a plan', () => {
  it('follows the mode of its pool', () => {
    expect(verdict({})).toEqual({ kind: 'act' });
    expect(verdict({ mode: 'propose' })).toEqual({ kind: 'propose' });
    expect(verdict({ mode: 'off' })).toEqual({ kind: 'nothing', reason: 'off' });
  });

  it('is nothing where nothing changes, or too little is gained', () => {
    expect(verdict({ plan: { ...plan, changes: [] } })).toEqual({ kind: 'nothing', reason: 'changes-nothing' });
    expect(verdict({ value: { met: 19, wanted: 30, cost: 1 } })).toEqual({ kind: 'nothing', reason: 'gain-too-small' });
    expect(whatToDo({ ...ripe, value: ripe.valueAsItIs }, { ...patience, gainMin: 0 })).toEqual({
      kind: 'nothing',
      reason: 'gain-too-small',
    });
  });

  it('is nothing where moving loses more than it brings', () => {
    expect(verdict({ moving: { sliceSeconds: 2400, units: 4 } })).toEqual({ kind: 'act' });
    expect(verdict({ moving: { sliceSeconds: 2401, units: 4 } })).toEqual({ kind: 'nothing', reason: 'moves-cost-too-much' });
    expect(verdict({ mode: 'propose', moving: { sliceSeconds: 2401, units: 4 } })).toMatchObject({ kind: 'nothing' });
  });

  it('waits until the demand has been there for a while', () => {
    expect(verdict({ unmetSinceMs: 9901 })).toEqual({ kind: 'wait', reason: 'settling', untilMs: 10_001 });
    expect(verdict({ unmetSinceMs: 9900 })).toEqual({ kind: 'act' });
    expect(verdict({ unmetSinceMs: undefined })).toMatchObject({ kind: 'wait', reason: 'settling' });
  });

  it('waits between two plans of one pool', () => {
    expect(verdict({ actedAtMs: 9001 })).toEqual({ kind: 'wait', reason: 'cooling-down', untilMs: 10_001 });
    expect(verdict({ actedAtMs: 9000 })).toEqual({ kind: 'act' });
  });

  it('does not bring a layout back that was left a moment ago', () => {
    const left = (layout: string, atMs: number, of: string = gpu) => verdict({ left: [{ gpu: of, layout, atMs }] });
    expect(left('whole', 5001)).toEqual({ kind: 'wait', reason: 'would-return', untilMs: 10_001 });
    expect(left('whole', 5000)).toEqual({ kind: 'act' });
    expect(left('mig', 9999)).toEqual({ kind: 'act' });
    expect(left('whole', 9999, 'GPU-2')).toEqual({ kind: 'act' });
  });

  it('shows people a plan without waiting', () => {
    expect(verdict({ mode: 'propose', actedAtMs: 9999, unmetSinceMs: 10_000 })).toEqual({ kind: 'propose' });
  });
});
