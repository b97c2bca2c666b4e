import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arrange, freeStarts } from '../arrange.ts';
import { type CatalogModel, catalogModels } from '../catalog.ts';
import { formatLayout, isLegal, type Layout } from '../layout.ts';
import { type LayoutRequest, parseLayoutRequest } from '../request.ts';
import type { WantedSlice } from '../slice.ts';
import type { PartedFile } from './config.ts';
import { type ExportedGpu, exportParted, type PartedFormat } from './export.ts';
import { readParted } from './read.ts';
import { selectParted } from './select.ts';

function read(value: unknown): PartedFile {
  const answer = readParted(value);
  if (answer.kind === 'faults') throw new Error(JSON.stringify(answer.faults));
  return answer.file;
}

describe('exporting and importing again', () => {
  const layoutOn = (model: CatalogModel): fc.Arbitrary<Layout> =>
    fc.oneof(
      fc.constant<Layout>({ kind: 'whole' }),
      fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 9 }).map((picks): Layout => {
        let slices: readonly WantedSlice[] = [];
        for (const [which, where] of picks) {
          const profile = model.grid.profiles[which % model.grid.profiles.length];
          if (profile === undefined) continue;
          const free = freeStarts(model.grid, slices, profile);
          const start = free[where % Math.max(free.length, 1)];
          if (start !== undefined) slices = [...slices, { profile: profile.name, start }];
        }
        return { kind: 'mig', slices };
      }),
    );
  const node = fc
    .array(fc.constantFrom(...catalogModels.filter((model) => model.productNames.length > 0)), { minLength: 1, maxLength: 8 })
    .chain((models) => fc.tuple(fc.constant(models), fc.tuple(...models.map(layoutOn))));

  function trip(models: readonly CatalogModel[], layouts: readonly Layout[], format: PartedFormat): ReadonlyMap<number, LayoutRequest> {
    const gpus = layouts.map((layout, index): ExportedGpu => ({ index, layout }));
    // Through text, as a file would be.
    const file = read(JSON.parse(JSON.stringify(exportParted(new Map([['current', gpus.toReversed()]]), format))));
    const selected = selectParted(
      file,
      'current',
      models.map((model, index) => ({ index, model: model.productNames[0] ?? '', migCapable: true })),
    );
    if (selected.kind !== 'selected') throw new Error(JSON.stringify(selected));
    expect(selected.absent).toEqual([]);
    return selected.requests;
  }

  it('gives the same layouts with placements', () => {
    fc.assert(
      fc.property(node, ([models, layouts]) => {
        const asked = trip(models, layouts, 'astrago');
        expect(layouts.map((layout, index) => [index, formatLayout(layout)])).toEqual(
          layouts.map((_layout, index) => {
            const request = asked.get(index);
            return [index, request?.kind === 'mig' ? formatLayout({ kind: 'mig', slices: request.fixed }) : request?.kind];
          }),
        );
      }),
      { numRuns: 300 },
    );
  });

  it('gives the same counts without, for which every device has places', () => {
    fc.assert(
      fc.property(node, ([models, layouts]) => {
        const asked = trip(models, layouts, 'mig-parted');
        for (const [index, layout] of layouts.entries()) {
          const request = asked.get(index);
          if (layout.kind === 'whole' || request?.kind !== 'mig') {
            expect(request?.kind).toBe(layout.kind);
            continue;
          }
          expect(request.fixed).toEqual([]);
          expect(request.anywhere.toSorted()).toEqual(layout.slices.map((slice) => slice.profile).sort());
          const grid = models[index]?.grid;
          const placed = grid && arrange(grid, [], request.anywhere);
          expect(grid && placed && isLegal(grid, placed)).toBe(true);
        }
      }),
      { numRuns: 150 },
    );
  });

  it('writes what mig-parted reads: no field of ours, equal GPUs in one entry', () => {
    const cut: Layout = { kind: 'mig', slices: requestSlices('1g.10gb@6,3g.40gb@0') };
    const moved: Layout = { kind: 'mig', slices: requestSlices('1g.10gb@0,3g.40gb@4') };
    const gpus = [cut, { kind: 'whole' } as const, moved].map((layout, index): ExportedGpu => ({ index, layout }));
    expect(exportParted(new Map([['current', gpus]]), 'mig-parted')).toEqual({
      version: 'v1',
      'mig-configs': {
        current: [
          { devices: [0, 2], 'mig-enabled': true, 'mig-devices': { '1g.10gb': 1, '3g.40gb': 1 } },
          { devices: [1], 'mig-enabled': false },
        ],
      },
    });
    expect(exportParted(new Map([['current', gpus]]), 'astrago')['mig-configs']['current']).toHaveLength(3);
    expect(exportParted(new Map([['current', gpus.slice(0, 1)]]), 'mig-parted')['mig-configs']['current']?.[0]?.devices).toBe('all');
  });

  function requestSlices(text: string): readonly WantedSlice[] {
    const parsed = parseLayoutRequest(text);
    if (parsed.kind === 'unreadable' || parsed.request.kind === 'whole') throw new Error(text);
    return parsed.request.fixed;
  }
});
