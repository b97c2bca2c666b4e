// An ask as placement reads it: which GPUs it could go to, what it takes there, and what that counts for.
import { findProfile, type MigGrid } from '@astrago/shared/domain/mig/grid';
import type { Profile } from '@astrago/shared/domain/mig/profile';
import { noUnits, type SliceUnits } from '@astrago/shared/domain/units';
import type { AskFacts } from '../cluster/asked.ts';
import { partOfUnits, roundUnits, shareMilli } from '../cluster/share.ts';
import type { AskClass } from '../placement/demand.ts';
import { modelFits } from '../scheduling/gpu-view.ts';
import type { GpuKind } from './gpu-kind.ts';
import { type Pool, type Pools, toleratesAll } from './pools.ts';

/** One way to meet an ask. All its pools count for the same. */
export interface AskVariant {
  readonly ask: AskClass;
  readonly units: SliceUnits;
  /** Of the GPUs; absent without any. */
  readonly models: readonly string[];
  /** Those of a lower tier are tried first. */
  readonly tier: number;
}

interface Way {
  readonly pool: number;
  readonly kind: GpuKind | undefined;
  readonly gpus: number;
  readonly milli: number;
  readonly slices: { readonly count: number; readonly profile: Profile } | undefined;
  readonly units: SliceUnits;
  readonly tier: number;
}

/** @param perModel whether what GPUs count for depends on their model, because some quota does. */
export function variantsOf(facts: AskFacts, pools: Pools, perModel: boolean): readonly AskVariant[] {
  const ways: Way[] = [];
  for (let id = 1; id < pools.count; id += 1) {
    const pool = pools.at(id);
    if (pool !== undefined && isAllowed(facts, pool)) ways.push(...waysIn(facts, id, pool.kind));
  }
  const groups = Map.groupBy(ways, ({ milli, units, tier, kind, slices }) =>
    [milli, units.compute, units.memory, tier, slices === undefined ? '' : 's', perModel ? kind?.model : ''].join(),
  );
  return [...groups.values()].flatMap((group): readonly AskVariant[] => {
    const [first] = group;
    if (first === undefined) return [];
    const { cpuMilli, memoryMiB, ask } = facts;
    const slices =
      first.slices === undefined
        ? undefined
        : {
            count: first.slices.count,
            profiles: new Map(group.flatMap(({ pool, slices: own }) => (own === undefined ? [] : [[pool, own.profile.name] as const]))),
          };
    const timeSliced = ask.kind === 'share' && ask.by === 'time-slicing';
    const allowed = new Set(group.map(({ pool }) => pool));
    const models = ask.kind === 'none' ? [] : [...new Set(group.flatMap(({ kind }) => kind?.model ?? []))];
    const { gpus, milli, units, tier } = first;
    return [{ ask: { cpuMilli, memoryMiB, gpus, milli, pools: allowed, timeSliced, slices }, units, models, tier }];
  });
}

function isAllowed({ nodeLabels, tolerations }: AskFacts, { labels, taints }: Pool): boolean {
  return toleratesAll(taints, tolerations) && Object.entries(nodeLabels ?? {}).every(([key, value]) => labels.get(key) === value);
}

function waysIn({ ask, model }: AskFacts, pool: number, kind: GpuKind | undefined): readonly Way[] {
  const way = { pool, kind, gpus: 0, milli: 0, slices: undefined, tier: 0 };
  if (ask.kind === 'none') return [{ ...way, units: noUnits }];
  if (kind === undefined || !modelFits(kind.model, model)) return [];
  const { grid, units } = kind;
  switch (ask.kind) {
    case 'whole':
      return [{ ...way, gpus: ask.count, milli: 1000, units: times(units, ask.count) }];
    case 'share': {
      const milli = shareMilli(ask.milli, ask.memoryMiB, kind.memoryMiB);
      return milli > 1000 ? [] : [{ ...way, gpus: 1, milli, units: partOfUnits(units, milli) }];
    }
    case 'slice': {
      const profile = grid === undefined ? undefined : findProfile(grid, ask.profile);
      return profile === undefined ? [] : [sliceWay(way, profile, ask.count ?? 1, 0)];
    }
    case 'least':
      return profilesOfAtLeast(grid, ask.memoryMiB, ask.computeSlices).map((profile) =>
        sliceWay(way, profile, ask.count, profile.size * 100 + profile.computeSlices),
      );
    default:
      return ask satisfies never;
  }
}

function sliceWay(way: Omit<Way, 'units'>, profile: Profile, count: number, tier: number): Way {
  return { ...way, slices: { count, profile }, tier, units: times({ compute: profile.computeSlices, memory: profile.size }, count) };
}

/** Plain profiles only: media engines and graphics are asked for by name. */
export function profilesOfAtLeast(grid: MigGrid | undefined, memoryMiB: number, computeSlices: number): readonly Profile[] {
  const plain = grid?.profiles.filter(({ name }) => /^\d+g\.\d+gb$/.test(name)) ?? [];
  return plain.filter((profile) => profile.memoryMiB >= memoryMiB && profile.computeSlices >= computeSlices);
}

function times({ compute, memory }: SliceUnits, count: number): SliceUnits {
  return roundUnits({ compute: compute * count, memory: memory * count });
}
