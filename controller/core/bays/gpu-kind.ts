import type { MigGrid } from '@astrago/shared/domain/mig/grid';
import { type SliceUnits, wholeUnits } from '@astrago/shared/domain/units';
import type { ObservedGpu } from '../cluster/observed.ts';

/** GPUs that cannot be told apart by what they offer. */
export interface GpuKind {
  readonly model: string;
  /** Absent when it cannot be cut. */
  readonly grid: MigGrid | undefined;
  readonly memoryMiB: number | undefined;
  readonly units: SliceUnits;
}

/** Gives GPUs that are alike one kind, and grids that are alike one object. */
export class GpuKinds {
  readonly #kinds = new Map<string, GpuKind>();
  readonly #grids = new Map<string, number>();
  /** By the listing as it was reported: it is reported again and again. */
  readonly #gridIds = new WeakMap<MigGrid, number>();

  of({ model, grid, memoryMiB }: ObservedGpu): GpuKind {
    const key = `${grid === undefined ? '' : this.#idOf(grid)}|${memoryMiB ?? ''}|${model}`;
    const kind = this.#kinds.get(key) ?? { model, grid, memoryMiB, units: wholeUnits(grid) };
    this.#kinds.set(key, kind);
    return kind;
  }

  #idOf(grid: MigGrid): number {
    const known = this.#gridIds.get(grid);
    if (known !== undefined) return known;
    const text = JSON.stringify(grid);
    const id = this.#grids.get(text) ?? this.#grids.size;
    this.#grids.set(text, id);
    this.#gridIds.set(grid, id);
    return id;
  }
}
