// Whether an order may replace the one in the ledger.
import { sameSlice } from '@astrago/shared/domain/mig/slice';
import type { AllocatedDevice, DesiredAllocation, Order } from './order.ts';

export type RefusalReason = 'stale-epoch' | 'stale-generation' | 'content-differs' | 'invalid';

export type Acceptance =
  | { readonly kind: 'accepted' }
  /** The very order that is held already; answered like an accepted one. */
  | { readonly kind: 'repeated' }
  | { readonly kind: 'refused'; readonly reason: RefusalReason; readonly detail: string };

export function accept(order: Order, held: Order): Acceptance {
  if (order.epoch < held.epoch) {
    return { kind: 'refused', reason: 'stale-epoch', detail: `epoch ${order.epoch} is before ${held.epoch}, which has spoken already` };
  }
  if (order.epoch === held.epoch && order.generation < held.generation) {
    return { kind: 'refused', reason: 'stale-generation', detail: `generation ${order.generation} is before ${held.generation}` };
  }
  if (order.epoch === held.epoch && order.generation === held.generation) {
    if (contentOf(order) === contentOf(held)) return { kind: 'repeated' };
    return { kind: 'refused', reason: 'content-differs', detail: `generation ${order.generation} was given before with another content` };
  }
  const fault = contradictionIn(order);
  return fault === undefined ? { kind: 'accepted' } : { kind: 'refused', reason: 'invalid', detail: fault };
}

/** Equal for orders that mean the same, whatever the order of their lists. */
export function contentOf(order: Order): string {
  const byKey = <T>(items: readonly T[], key: (item: T) => string): readonly T[] => items.toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
  const allocations = order.allocations.map((allocation) => ({
    ...allocation,
    intent: allocation.intent.kind === 'stop' ? allocation.intent : { ...allocation.intent, environment: Object.entries(allocation.intent.environment).sort() },
  }));
  return JSON.stringify([byKey(order.gpus, (gpu) => gpu.uuid), byKey(allocations, (allocation) => allocation.id)]);
}

/** What the order says against itself, or `undefined`. */
function contradictionIn(order: Order): string | undefined {
  if (new Set(order.gpus.map((gpu) => gpu.uuid)).size < order.gpus.length) return 'a GPU is named twice';
  if (new Set(order.allocations.map((one) => one.id)).size < order.allocations.length) return 'an allocation is named twice';
  for (const allocation of order.allocations) {
    const fault = allocation.devices.map((device) => unheldDevice(order, allocation, device)).find((text) => text !== undefined);
    if (fault !== undefined) return fault;
    if (allocation.intent.kind === 'run' && allocation.intent.command.length === 0) return `${allocation.id} has no command`;
  }
  return doubleBooking(order);
}

function unheldDevice(order: Order, allocation: DesiredAllocation, device: AllocatedDevice): string | undefined {
  const layout = order.gpus.find((gpu) => gpu.uuid === device.gpu)?.layout;
  if (layout === undefined) return undefined;
  const { slice } = device;
  const holds = slice === undefined ? layout.kind === 'whole' : layout.kind === 'mig' && layout.slices.some((other) => sameSlice(other, slice));
  // What is being stopped may be leaving a layout that is ordered already.
  return holds || allocation.intent.kind === 'stop' ? undefined : `${allocation.id} holds what the layout of ${device.gpu} does not`;
}

/** I1, as far as it shows without the device's own table: a start has one holder, a whole GPU too. */
function doubleBooking(order: Order): string | undefined {
  const holders = new Map<string, string>();
  for (const { id, devices } of order.allocations) {
    for (const { gpu, slice } of devices) {
      const places = slice === undefined ? [gpu] : [`${gpu}@${slice.start}`];
      const clash = places.find((place) => holders.has(place)) ?? (slice === undefined ? [...holders.keys()].find((place) => place.startsWith(`${gpu}@`)) : holders.has(gpu) ? gpu : undefined);
      if (clash !== undefined) return `${id} and ${holders.get(clash)} hold the same place on ${gpu}`;
      for (const place of places) holders.set(place, id);
    }
  }
  return undefined;
}
