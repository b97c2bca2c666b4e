import { freeStarts } from '@astrago/shared/domain/mig/arrange';
import { findProfile, type MigGrid } from '@astrago/shared/domain/mig/grid';
import { formatLayout, inOrder } from '@astrago/shared/domain/mig/layout';
import type { ProfileName } from '@astrago/shared/domain/mig/profile';
import { formatSlice, type WantedSlice } from '@astrago/shared/domain/mig/slice';
import { worthOfLayout } from './layout-worth.ts';

/** What one GPU is that is neither untouched nor shared by MPS: a shape names these by number. */
export type GpuState =
  /** Cut, or about to be: only what is held of it, in any order, stands fast. */
  | { readonly kind: 'cut'; readonly grid: MigGrid; readonly held: readonly WantedSlice[] }
  /** Its layout is not ours to change: only the slices that are there and free can be had. */
  | { readonly kind: 'fixed'; readonly grid: MigGrid; readonly free: readonly WantedSlice[] }
  /** Shared by time slices, with so many thousandths left. */
  | { readonly kind: 'time-sliced'; readonly milli: number };

/** A slice that a GPU can give. */
export interface Hosting {
  readonly slice: WantedSlice;
  /** Slices that would do as well, this one among them. */
  readonly equals: readonly WantedSlice[];
  /** What the GPU loses for others by it, in memory slices; less is better. */
  readonly cost: number;
  /** Its state afterwards. */
  readonly after: number;
}

/** Gives equal states one number, and remembers what each can host. */
export class GpuStates {
  readonly #states: GpuState[] = [];
  readonly #ids = new Map<string, number>();
  readonly #keys: string[] = [];
  /** What is held of a GPU is one list until it changes: most are looked at again before that. */
  readonly #byHeld = new WeakMap<readonly WantedSlice[], { readonly grid: MigGrid; readonly id: number }>();
  readonly #grids = new Map<MigGrid, number>();
  /** By state, then by profile; `undefined` where it cannot host it. */
  readonly #hostings: Map<ProfileName, Hosting | undefined>[] = [];

  idOf(state: GpuState): number {
    if (state.kind !== 'cut') return this.#numberOf(state);
    const known = this.#byHeld.get(state.held);
    if (known?.grid === state.grid) return known.id;
    const id = this.#numberOf(state);
    this.#byHeld.set(state.held, { grid: state.grid, id });
    return id;
  }

  #numberOf(state: GpuState): number {
    const key = this.#keyOf(state);
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    this.#ids.set(key, this.#states.length);
    this.#keys.push(key);
    this.#hostings.push(new Map());
    // In one order, whoever showed it first: among equal slices the first is taken.
    return this.#states.push(state.kind === 'fixed' ? { ...state, free: inOrder(state.free) } : state) - 1;
  }

  at(id: number): GpuState {
    // Ids are only made here.
    return this.#states[id] as GpuState;
  }

  /** An order of the states of one model's GPUs that does not depend on their numbers, which come with time. */
  isBefore(one: number, other: number): boolean {
    return (this.#keys[one] ?? '') < (this.#keys[other] ?? '');
  }

  /** The best place for one more slice; `undefined` where there is none. */
  hosting(id: number, profile: ProfileName): Hosting | undefined {
    const known = this.#hostings[id];
    if (known?.has(profile) === true) return known.get(profile);
    const found = this.#findHosting(this.at(id), profile);
    known?.set(profile, found);
    return found;
  }

  #findHosting(state: GpuState, name: ProfileName): Hosting | undefined {
    if (state.kind === 'time-sliced') return undefined;
    const { grid } = state;
    if (state.kind === 'fixed') {
      const slice = state.free.find(({ profile }) => profile === name);
      if (slice === undefined) return undefined;
      return { slice, equals: [slice], cost: 0, after: this.idOf({ ...state, free: state.free.filter((other) => other !== slice) }) };
    }
    const profile = findProfile(grid, name);
    if (profile === undefined) return undefined;
    const before = worthOfLayout(grid, state.held);
    let best: { readonly slice: WantedSlice; readonly equals: readonly WantedSlice[]; readonly cost: number } | undefined;
    for (const start of freeStarts(grid, state.held, profile)) {
      const slice = { profile: name, start };
      const cost = before - worthOfLayout(grid, [...state.held, slice]);
      // Among equals the higher start: the largest profiles can only use the low half.
      if (best === undefined || cost <= best.cost) best = { slice, equals: best?.cost === cost ? [...best.equals, slice] : [slice], cost };
    }
    return best === undefined ? undefined : { ...best, after: this.idOf({ ...state, held: inOrder([...state.held, best.slice]) }) };
  }

  #keyOf(state: GpuState): string {
    if (state.kind === 'time-sliced') return `t${state.milli}`;
    const grid = this.#grids.get(state.grid) ?? this.#grids.size;
    this.#grids.set(state.grid, grid);
    return state.kind === 'cut'
      ? `c${grid}:${formatLayout({ kind: 'mig', slices: state.held })}`
      : `f${grid}:${inOrder(state.free).map(formatSlice).join()}`;
  }
}
