import type { GpuUuid } from '@astrago/shared/domain/ids';
import { overlaps, sameSlice, type WantedSlice } from '@astrago/shared/domain/mig/slice';
import type { AllocatedDevice } from '#core/order';

export interface Held {
  readonly id: string;
  /** Absent: the whole GPU. */
  readonly slice: WantedSlice | undefined;
}

/**
 * Which allocations hold which devices: from the moment it is decided to start one, before anything is awaited, until
 * nothing of it is left. The layout loops read it before they destroy, so that there is no moment in which a slice
 * is neither seen as used nor safe.
 */
export class Holdings {
  readonly #held = new Map<string, readonly AllocatedDevice[]>();

  hold(id: string, devices: readonly AllocatedDevice[]): void {
    this.#held.set(id, devices);
  }

  /** `false` when it held nothing. */
  release(id: string): boolean {
    return this.#held.delete(id);
  }

  has(id: string): boolean {
    return this.#held.has(id);
  }

  on(gpu: GpuUuid): readonly Held[] {
    return [...this.#held].flatMap(([id, devices]) => devices.filter((device) => device.gpu === gpu).map(({ slice }) => ({ id, slice })));
  }

  /**
   * An allocation that holds a place another one is to get (I1), if any.
   *
   * @param sizeOf length of a profile on a GPU; `undefined` when not known, then only the same start clashes.
   */
  clashWith(
    id: string,
    devices: readonly AllocatedDevice[],
    sizeOf: (gpu: GpuUuid, profile: string) => number | undefined,
  ): string | undefined {
    for (const { gpu, slice } of devices) {
      const clash = this.on(gpu).find((held) => held.id !== id && meet(slice, held.slice, (profile) => sizeOf(gpu, profile) ?? 1));
      if (clash !== undefined) return clash.id;
    }
    return undefined;
  }
}

function meet(a: WantedSlice | undefined, b: WantedSlice | undefined, sizeOf: (profile: string) => number): boolean {
  if (a === undefined || b === undefined) return true;
  return sameSlice(a, b) || overlaps({ start: a.start, size: sizeOf(a.profile) }, { start: b.start, size: sizeOf(b.profile) });
}
