import type { WorkspaceName } from '@astrago/shared/domain/ids';
import { describe, expect, it } from 'vitest';
import type { WorkspaceRecord } from '../cluster/records.ts';
import { h100, sampleCluster } from '../cluster/sample-cluster.ts';
import type { Vector } from './amounts.ts';
import { Quotas } from './quotas.ts';

const named = (name: string): WorkspaceName => name as WorkspaceName;
const slices = (count: number): WorkspaceRecord['limit'] => ({ compute: count, memory: undefined });

/** Of four H100: 28 compute slices. */
function quotasOf(...records: readonly (Partial<WorkspaceRecord> & Pick<WorkspaceRecord, 'name'>)[]): Quotas {
  const cluster = sampleCluster([{ name: 'n', gpus: [h100, h100, h100, h100] }]);
  for (const record of records)
    cluster.apply({ kind: 'workspace', record: { limit: { compute: undefined, memory: undefined }, ...record } });
  cluster.keep();
  return new Quotas(cluster);
}

const charge = (quotas: Quotas, compute: number, models: readonly string[] = [h100.model]): Vector =>
  quotas.charge({ units: { compute, memory: compute }, cpuMilli: 0, memoryMiB: 0 }, models);
const judge = (quotas: Quotas, name: string, compute: number): string => quotas.judge(named(name), charge(quotas, compute)).kind;

describe('a workspace', () => {
  it('without a guarantee has for its own what nobody beside it is guaranteed', () => {
    const quotas = quotasOf({ name: named('team-a'), guaranteed: slices(12) }, { name: named('default') });
    expect(judge(quotas, 'default', 16)).toBe('within-guarantee');
    expect(judge(quotas, 'default', 17)).toBe('borrowing');
    expect(judge(quotas, 'team-a', 13)).toBe('borrowing');
  });

  it('shares with those below it what they are not guaranteed, for work of its own', () => {
    const quotas = quotasOf(
      { name: named('dept'), guaranteed: slices(10) },
      { name: named('a'), parent: named('dept'), guaranteed: slices(4) },
      { name: named('b'), parent: named('dept') },
    );
    expect(judge(quotas, 'dept', 6)).toBe('within-guarantee');
    quotas.count(named('dept'), charge(quotas, 5), false, 1);
    expect(judge(quotas, 'b', 1)).toBe('within-guarantee');
    expect(judge(quotas, 'b', 2)).toBe('borrowing');
    expect(judge(quotas, 'a', 4)).toBe('within-guarantee');
  });

  it('is bounded by its limit and by those above it, and told whose it is', () => {
    const quotas = quotasOf({ name: named('dept'), limit: slices(14) }, { name: named('a'), parent: named('dept') });
    quotas.count(named('dept'), charge(quotas, 12), false, 1);
    expect(quotas.judge(named('a'), charge(quotas, 3))).toMatchObject({ node: 'dept', resource: 'compute', limit: 14, used: 12, asked: 3 });
  });

  it('borrows nothing where nobody is guaranteed anything, whatever room there is', () => {
    const quotas = quotasOf({ name: named('a') });
    expect(judge(quotas, 'a', 100)).toBe('within-guarantee');
    expect(judge(quotas, 'unknown', 100)).toBe('within-guarantee');
  });

  it('is guaranteed GPUs of one model by words of its name', () => {
    const model = { compute: 7, memory: undefined };
    const quotas = quotasOf(
      { name: named('a'), guaranteed: { ...slices(0), compute: undefined, models: { h100: model } } },
      { name: named('b') },
    );
    expect(judge(quotas, 'a', 7)).toBe('within-guarantee');
    expect(judge(quotas, 'a', 8)).toBe('borrowing');
    expect(quotas.judge(named('a'), charge(quotas, 8, ['NVIDIA A30'])).kind).toBe('within-guarantee');
    expect(judge(quotas, 'b', 21)).toBe('within-guarantee');
    expect(judge(quotas, 'b', 22)).toBe('borrowing');
  });
});
