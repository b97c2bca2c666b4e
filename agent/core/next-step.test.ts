import { catalogModels } from '@astrago/shared/domain/mig/catalog';
import { isLegal, type Layout, sameLayout } from '@astrago/shared/domain/mig/layout';
import { formatSlice, type LiveSlice, overlaps, sameSlice, type WantedSlice } from '@astrago/shared/domain/mig/slice';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type GpuNow, type GpuUse, nextStep, type Step } from './next-step.ts';

const nobody: GpuUse = { whole: [], byInstance: new Map() };

/** A legal layout of a model: slices thrown at its grid, kept where they fit. */
function slicesOf(model: (typeof catalogModels)[number]): fc.Arbitrary<readonly WantedSlice[]> {
  const slice = fc
    .constantFrom(...model.grid.profiles)
    .chain((profile) => fc.constantFrom(...profile.starts).map((start) => ({ profile: profile.name, start })));
  return fc
    .array(slice, { maxLength: 8 })
    .map((slices) =>
      slices.reduce<readonly WantedSlice[]>((kept, one) => (isLegal(model.grid, [...kept, one]) ? [...kept, one] : kept), []),
    );
}

interface World {
  readonly gpu: GpuNow;
  readonly wanted: Layout;
  readonly used: ReadonlySet<number>;
  readonly model: (typeof catalogModels)[number];
}

const world: fc.Arbitrary<World> = fc.constantFrom(...catalogModels).chain((model) =>
  fc
    .record({
      model: fc.constant(model),
      live: slicesOf(model),
      wanted: fc.oneof(
        { weight: 1, arbitrary: fc.constant<Layout>({ kind: 'whole' }) },
        { weight: 5, arbitrary: slicesOf(model).map((slices): Layout => ({ kind: 'mig', slices })) },
      ),
      migEnabled: fc.boolean(),
      pending: fc.boolean(),
      incomplete: fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }),
      inUse: fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }),
    })
    .map(({ live, wanted, migEnabled, pending, incomplete, inUse }): World => {
      const slices = migEnabled
        ? live.map(
            (slice, index): LiveSlice => ({
              ...slice,
              size: model.grid.profiles.find((profile) => profile.name === slice.profile)?.size ?? 1,
              gpuInstanceId: index + 1,
              computeInstanceId: incomplete[index] === true ? undefined : 0,
              migUuid: incomplete[index] === true ? undefined : `MIG-${index}`,
            }),
          )
        : [];
      const used = new Set(slices.filter((_, index) => inUse[index] === true).map((slice) => slice.gpuInstanceId));
      return {
        model,
        wanted,
        used,
        gpu: {
          migCapable: true,
          migEnabled,
          migPending: pending && slices.length === 0 ? !migEnabled : undefined,
          slices,
          profiles: model.grid.profiles,
        },
      };
    }),
);

function useOf(used: ReadonlySet<number>): GpuUse {
  return { whole: [], byInstance: new Map([...used].map((id) => [id, ['process 1 (python)']])) };
}

/** What the driver would do. Refuses, as it does, what has no room. */
function take(gpu: GpuNow, step: Step, ids: { next: number }): GpuNow {
  switch (step.kind) {
    case 'set-mig-mode':
      if (step.enabled === gpu.migEnabled) return { ...gpu, migPending: undefined };
      return { ...gpu, migPending: step.enabled };
    case 'reset':
      expect(gpu.slices).toEqual([]);
      return { ...gpu, migEnabled: gpu.migPending ?? gpu.migEnabled, migPending: undefined };
    case 'destroy':
      return { ...gpu, slices: gpu.slices.filter((slice) => slice.gpuInstanceId !== step.slice.gpuInstanceId) };
    case 'complete':
      return {
        ...gpu,
        slices: gpu.slices.map((slice) =>
          slice.gpuInstanceId === step.slice.gpuInstanceId ? { ...slice, computeInstanceId: 0, migUuid: 'MIG-new' } : slice,
        ),
      };
    case 'create': {
      const size = gpu.profiles.find((profile) => profile.name === step.slice.profile)?.size ?? 0;
      expect(gpu.migEnabled).toBe(true);
      expect(gpu.slices.filter((slice) => overlaps(slice, { start: step.slice.start, size }))).toEqual([]);
      ids.next += 1;
      return {
        ...gpu,
        slices: [...gpu.slices, { ...step.slice, size, gpuInstanceId: ids.next, computeInstanceId: 0, migUuid: `MIG-${ids.next}` }],
      };
    }
    default:
      return step satisfies never;
  }
}

function settle(gpu: GpuNow, wanted: Layout, use: GpuUse): { readonly gpu: GpuNow; readonly steps: readonly Step[] } {
  const ids = { next: 100 };
  const steps: Step[] = [];
  for (let now = gpu; ; ) {
    const { step } = nextStep(wanted, now, use, new Set());
    if (step === undefined) return { gpu: now, steps };
    steps.push(step);
    expect(steps.length).toBeLessThan(40);
    now = take(now, step, ids);
  }
}

function layoutOf(gpu: GpuNow): Layout {
  return gpu.migEnabled ? { kind: 'mig', slices: gpu.slices } : { kind: 'whole' };
}

describe('the steps to a layout', () => {
  it('lead to it from everywhere when nothing is used, and then there is nothing more to do', () => {
    fc.assert(
      fc.property(world, ({ gpu, wanted }) => {
        const settled = settle(gpu, wanted, nobody).gpu;

        expect(sameLayout(layoutOf(settled), wanted)).toBe(true);
        expect(settled.slices.every((slice) => slice.computeInstanceId !== undefined)).toBe(true);
        expect(nextStep(wanted, settled, nobody, new Set())).toEqual({ step: undefined, blocked: [], converged: true });
      }),
    );
  });

  it('never destroy what is used, nor switch or reset a GPU on which anything is', () => {
    fc.assert(
      fc.property(world, ({ gpu, wanted, used }) => {
        const { gpu: settled, steps } = settle(gpu, wanted, useOf(used));

        for (const slice of gpu.slices)
          if (used.has(slice.gpuInstanceId))
            expect(settled.slices.find((other) => other.gpuInstanceId === slice.gpuInstanceId)).toMatchObject(formatless(slice));
        if (used.size > 0) expect(steps.filter((step) => step.kind === 'reset' || step.kind === 'set-mig-mode')).toEqual([]);
      }),
    );
  });

  it('keep every slice that is wanted, and create only what is', () => {
    fc.assert(
      fc.property(world, ({ gpu, wanted, used }) => {
        const { steps } = settle(gpu, wanted, useOf(used));

        for (const step of steps) {
          if (wanted.kind !== 'mig') continue;
          if (step.kind === 'destroy') expect(wanted.slices.some((slice) => sameSlice(slice, step.slice))).toBe(false);
          if (step.kind === 'create' || step.kind === 'complete')
            expect(wanted.slices.some((slice) => sameSlice(slice, step.slice))).toBe(true);
        }
      }),
    );
  });

  it('destroy before they create, and say who is in the way of what they cannot do', () => {
    fc.assert(
      fc.property(world, ({ gpu, wanted, used }) => {
        const { gpu: settled, steps } = settle(gpu, wanted, useOf(used));
        const kinds = steps.map((step) => step.kind);
        if (kinds.includes('create')) expect(kinds.lastIndexOf('destroy')).toBeLessThan(kinds.indexOf('create'));

        const outlook = nextStep(wanted, settled, useOf(used), new Set());
        expect(outlook.converged || outlook.blocked.length > 0).toBe(true);
        expect(outlook.blocked.every(({ users }) => users.length > 0)).toBe(true);
      }),
    );
  });

  it('pass by what was given up and make the rest', () => {
    const model = catalogModels.find((one) => one.key === 'h100-80gb');
    const gpu: GpuNow = { migCapable: true, migEnabled: true, migPending: undefined, slices: [], profiles: model?.grid.profiles ?? [] };
    const slices = ['3g.40gb', '1g.10gb'].map((profile, index) => ({ profile, start: index * 4 })) as unknown as readonly WantedSlice[];
    const wanted: Layout = { kind: 'mig', slices };

    const outlook = nextStep(wanted, gpu, nobody, new Set(['3g.40gb@0']));

    expect(outlook.step?.kind === 'create' && formatSlice(outlook.step.slice)).toBe('1g.10gb@4');
  });

  it('are none for a GPU that cannot be cut', () => {
    const gpu: GpuNow = { migCapable: false, migEnabled: false, migPending: undefined, slices: [], profiles: [] };

    expect(nextStep({ kind: 'mig', slices: [] }, gpu, nobody, new Set())).toEqual({ step: undefined, blocked: [], converged: false });
    expect(nextStep({ kind: 'whole' }, gpu, nobody, new Set()).converged).toBe(true);
  });
});

function formatless({ profile, start, gpuInstanceId }: LiveSlice): Partial<LiveSlice> {
  return { profile, start, gpuInstanceId };
}
