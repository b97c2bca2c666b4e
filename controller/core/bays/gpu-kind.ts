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
  /** By the listing as it was reported: a GPU is reported again and again. */
  readonly #byGpu = new WeakMap<ObservedGpu, GpuKind>();

  of(gpu: ObservedGpu): GpuKind {
    const known = this.#byGpu.get(gpu);
    if (known !== undefined) return known;
    const { model, grid, memoryMiB } = gpu;
    const key = JSON.stringify([model, grid ?? null, memoryMiB ?? null]);
    const kind = this.#kinds.get(key) ?? { model, grid, memoryMiB, units: wholeUnits(grid) };
    this.#kinds.set(key, kind);
    this.#byGpu.set(gpu, kind);
    return kind;
  }
}
