import type { NodeName } from '@astrago/shared/domain/ids';
import { formatLayout, type Layout } from '@astrago/shared/domain/mig/layout';
import { parseSlice, type WantedSlice } from '@astrago/shared/domain/mig/slice';
import { describe, expect, it } from 'vitest';
import type { Cluster } from '../cluster/cluster.ts';
import type { GpuAsk, WorkloadRecord } from '../cluster/records.ts';
import { a30, h100, l40s, type SampleNode, sampleCluster, sampleGpuUuid, sampleWorkload, slice, whole } from '../cluster/sample-cluster.ts';
import type { Placement } from './decision.ts';
import { tryNow } from './fits.ts';
import { applyBind } from './round.ts';

function cut(...names: readonly string[]): Layout {
  return { kind: 'mig', slices: names.map((name): WantedSlice => parseSlice(name) ?? expect.unreachable()) };
}

function order(cluster: Cluster, index: number, layout: Layout, pinned = false): void {
  cluster.apply({ kind: 'layout', record: { gpu: sampleGpuUuid('a', index), node: 'a' as NodeName, layout, pinned } });
  cluster.keep();
}

function placed(cluster: Cluster, ask: GpuAsk, more: Partial<WorkloadRecord> = {}): Placement | undefined {
  const answer = tryNow(cluster, sampleWorkload(1, ask, more), 0);
  return answer.kind === 'bound' ? answer.binds[0]?.placement : undefined;
}

const one = (...gpus: SampleNode['gpus']): Cluster => sampleCluster([{ name: 'a', gpus }]);

describe('a slice', () => {
  it('that is there already is taken before one that must be cut, among places that are as good', () => {
    const cluster = one(h100, h100);
    const elsewhere = placed(cluster, slice('3g.40gb'))?.devices[0];
    expect(elsewhere).toMatchObject({ gpu: sampleGpuUuid('a', 0), slice: { start: 4 } });
    order(cluster, 1, cut('3g.40gb@4'));
    const ready = placed(cluster, slice('3g.40gb'));
    expect(ready?.devices[0]?.gpu).toBe(sampleGpuUuid('a', 1));
    expect(ready?.layouts).toEqual([]);
  });

  it('that is there already is taken at another start, too, where that is as good', () => {
    const start = (...layout: readonly string[]): number | undefined => {
      const cluster = one(h100);
      order(cluster, 0, cut('3g.40gb@4', ...layout));
      const first = tryNow(cluster, sampleWorkload(9, slice('3g.40gb')), 0);
      const bind = first.kind === 'bound' ? first.binds[0] : undefined;
      applyBind(cluster, sampleWorkload(9, slice('3g.40gb')), bind ?? expect.unreachable(), 0);
      return placed(cluster, slice('2g.20gb'))?.devices[0]?.slice?.start;
    };
    expect(start()).toBe(2);
    expect(start('2g.20gb@0')).toBe(0);
  });

  it('is cut beside idle ones, which are kept where they may stay', () => {
    const cluster = one(h100);
    order(cluster, 0, cut('1g.10gb@0', '1g.10gb@1', '3g.40gb@4'));
    const layout = placed(cluster, slice('2g.20gb'))?.layouts[0]?.layout;
    expect(layout?.kind === 'mig' && layout.slices.some(({ profile }) => profile === '2g.20gb')).toBe(true);
    expect(layout === undefined ? '' : formatLayout(layout)).toContain('1g.10gb@0,1g.10gb@1');
  });

  it('of a pinned layout is taken as it is, and no other is cut there', () => {
    const cluster = one(h100);
    order(cluster, 0, cut('1g.10gb@0', '3g.40gb@4'), true);
    expect(placed(cluster, slice('3g.40gb'))?.layouts).toEqual([]);
    expect(placed(cluster, slice('2g.20gb'))).toBeUndefined();
    expect(placed(cluster, whole(1))).toBeUndefined();
  });

  it('is not cut from a GPU that is pinned whole, which only whole GPUs and shares take', () => {
    const cluster = one(h100);
    order(cluster, 0, { kind: 'whole' }, true);
    expect(placed(cluster, slice('1g.10gb'))).toBeUndefined();
    expect(placed(cluster, whole(1))?.layouts).toEqual([]);
  });

  it('of at least so much is the smallest that will do, and all of them are of one profile', () => {
    const cluster = one(h100, h100);
    const least = (memoryMiB: number, computeSlices: number, count: number): readonly (string | undefined)[] | undefined =>
      placed(cluster, { kind: 'least', memoryMiB, computeSlices, count })?.devices.map(({ slice: given }) => given?.profile);
    expect(least(15_000, 1, 1)).toEqual(['1g.20gb']);
    expect(least(15_000, 2, 2)).toEqual(['2g.20gb', '2g.20gb']);
    expect(least(30_000, 1, 4)).toEqual(['3g.40gb', '3g.40gb', '3g.40gb', '3g.40gb']);
    expect(least(30_000, 1, 5)).toBeUndefined();
    expect(least(90_000, 1, 1)).toBeUndefined();
    // Two fit that are not alike: that is no place for two.
    order(cluster, 0, cut('3g.40gb@4'), true);
    order(cluster, 1, cut('4g.40gb@0'), true);
    expect(least(30_000, 3, 1)).toEqual(['3g.40gb']);
    expect(least(30_000, 3, 2)).toBeUndefined();
  });
});

describe('whole GPUs', () => {
  it('may be cut, as long as nothing of them is in use: they are made whole', () => {
    const cluster = one(h100);
    order(cluster, 0, cut('1g.10gb@0'));
    expect(placed(cluster, whole(1))?.layouts.map(({ layout }) => layout.kind)).toEqual(['whole']);
  });

  it('that need no change of mode are taken first', () => {
    const cluster = one(h100, h100);
    order(cluster, 0, cut('1g.10gb@0'));
    expect(placed(cluster, whole(1))?.devices).toEqual([{ gpu: sampleGpuUuid('a', 1), slice: undefined }]);
  });

  it('of one ask are never of two models, nor of two sizes of memory', () => {
    const mixed = one(h100, l40s, a30, { ...h100, memoryMiB: 94_000 });
    expect(placed(mixed, whole(2))).toBeUndefined();
    expect(placed(mixed, whole(1))).toBeDefined();
    const more = one(h100, l40s, h100);
    expect(placed(more, whole(2))?.devices.map(({ gpu }) => gpu)).toEqual([sampleGpuUuid('a', 0), sampleGpuUuid('a', 2)]);
    expect(placed(more, whole(2), { model: 'l40s' })).toBeUndefined();
  });
});
