import type { GpuUuid } from '@astrago/shared/domain/ids';
import type { WantedSlice } from '@astrago/shared/domain/mig/slice';
import type { AllocatedDevice, Share } from '#core/order';
import { type PlaceKnowledge, wouldClash } from '#core/sharing/double-booking';

export interface Held {
  readonly id: string;
  /** Absent: the whole GPU. */
  readonly slice: WantedSlice | undefined;
  /** Absent: it has the device to itself. */
  readonly share: Share | undefined;
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
    return [...this.#held].flatMap(([id, devices]) => heldOn(gpu, id, devices));
  }

  devicesOf(id: string): readonly AllocatedDevice[] {
    return this.#held.get(id) ?? [];
  }

  /** An allocation that holds a place another one is to get, and cannot share with it (I1), if any. */
  clashWith(id: string, devices: readonly AllocatedDevice[], node: PlaceKnowledge): string | undefined {
    const others = [...this.#held].filter(([holder]) => holder !== id).map(([holder, held]) => ({ id: holder, devices: held }));
    return wouldClash({ id, devices }, others, node);
  }
}

export function heldOn(gpu: GpuUuid, id: string, devices: readonly AllocatedDevice[]): readonly Held[] {
  return devices.filter((device) => device.gpu === gpu).map(({ slice, share }) => ({ id, slice, share }));
}
