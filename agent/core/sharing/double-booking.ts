import type { GpuUuid } from '@astrago/shared/domain/ids';
import type { Profile } from '@astrago/shared/domain/mig/profile';
import { formatSlice, overlaps, sameSlice, type WantedSlice } from '@astrago/shared/domain/mig/slice';
import type { AllocatedDevice } from '../order.ts';
import { capacityOf } from './device-capacity.ts';
import { type Holder, holdersFault } from './holders.ts';

/** What has to be known of a node to tell whether two allocations meet. */
export interface PlaceKnowledge {
  /** As the device lists them; empty while it has not. */
  readonly profilesOf: (gpu: GpuUuid) => readonly Profile[];
  /** Of the whole board; absent or `undefined` when the driver did not say. */
  readonly memoryMiBOf?: (gpu: GpuUuid) => number | undefined;
  readonly driverVersion?: string | undefined;
}

interface Holding {
  readonly id: string;
  readonly devices: readonly AllocatedDevice[];
}

interface Place {
  readonly gpu: GpuUuid;
  readonly slice: WantedSlice | undefined;
  readonly holders: readonly Holder[];
}

/**
 * I1: allocations hold different places, or share one within what it has. Where sizes are not known, a start is one
 * place. One sentence for the first that do not, or `undefined`.
 */
export function doubleBooking(holdings: readonly Holding[], node: PlaceKnowledge): string | undefined {
  const places: Place[] = [];
  for (const { id, devices } of holdings) {
    for (const { gpu, slice, share } of devices) {
      const at = places.findIndex((place) => place.gpu === gpu && samePlace(place.slice, slice));
      const clash = places.find((place, index) => index !== at && place.gpu === gpu && meet(slice, place.slice, node.profilesOf(gpu)));
      if (clash !== undefined) return `${id} and ${clash.holders[0]?.id} hold the same place on ${placeText(gpu, slice)}`;
      const holder = { id, share };
      if (at < 0) places.push({ gpu, slice, holders: [holder] });
      else places[at] = { gpu, slice, holders: [...(places[at]?.holders ?? []), holder] };
    }
  }
  for (const { gpu, slice, holders } of places) {
    const known = { memoryMiB: node.memoryMiBOf?.(gpu), profiles: node.profilesOf(gpu) };
    const fault = holdersFault(holders, capacityOf(known, slice, node.driverVersion));
    if (fault !== undefined) return `${placeText(gpu, slice)}: ${fault}`;
  }
  return undefined;
}

/** Whom one allocation cannot be beside; those who are there already are not judged. */
export function wouldClash(newcomer: Holding, others: readonly Holding[], node: PlaceKnowledge): string | undefined {
  const near = others.filter((other) =>
    other.devices.some((held) =>
      newcomer.devices.some((device) => device.gpu === held.gpu && meet(device.slice, held.slice, node.profilesOf(device.gpu))),
    ),
  );
  const clash = near.find((other) => doubleBooking([other, newcomer], node) !== undefined);
  return (clash ?? (doubleBooking([...near, newcomer], node) === undefined ? undefined : near.at(-1)))?.id;
}

function placeText(gpu: GpuUuid, slice: WantedSlice | undefined): string {
  return slice === undefined ? gpu : `${gpu} (${formatSlice(slice)})`;
}

function samePlace(a: WantedSlice | undefined, b: WantedSlice | undefined): boolean {
  return a === undefined || b === undefined ? a === b : sameSlice(a, b);
}

function meet(a: WantedSlice | undefined, b: WantedSlice | undefined, profiles: readonly Profile[]): boolean {
  if (a === undefined || b === undefined) return true;
  const sizeOf = (slice: WantedSlice): number => profiles.find((profile) => profile.name === slice.profile)?.size ?? 1;
  return sameSlice(a, b) || overlaps({ start: a.start, size: sizeOf(a) }, { start: b.start, size: sizeOf(b) });
}
