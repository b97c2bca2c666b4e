// Whether an order may replace the one in the ledger.
import { gridOf } from '@astrago/shared/domain/mig/grid';
import { describeViolation, formatLayout, violationsOf } from '@astrago/shared/domain/mig/layout';
import type { Profile } from '@astrago/shared/domain/mig/profile';
import { formatSlice, sameSlice, type WantedSlice } from '@astrago/shared/domain/mig/slice';
import type { AllocatedDevice, DesiredAllocation, Order } from './order.ts';
import { doubleBooking, type PlaceKnowledge } from './sharing/double-booking.ts';

export type RefusalReason = 'stale-epoch' | 'stale-generation' | 'content-differs' | 'invalid';

export type Acceptance =
  | { readonly kind: 'accepted' }
  /** The very order that is held already; answered like an accepted one. */
  | { readonly kind: 'repeated' }
  | { readonly kind: 'refused'; readonly reason: RefusalReason; readonly detail: string };

/** What of this node an order is checked against. */
export interface NodeKnowledge extends PlaceKnowledge {
  /** Whether an allocation has ended and holds nothing any more. */
  readonly hasEnded: (allocation: string) => boolean;
}

export function accept(order: Order, held: Order, node: NodeKnowledge): Acceptance {
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
  const fault = contradictionIn(order, node);
  return fault === undefined ? { kind: 'accepted' } : { kind: 'refused', reason: 'invalid', detail: fault };
}

/** Equal for orders that mean the same, whatever the order of their lists and the keys of their objects. */
export function contentOf(order: Order): string {
  const gpus = order.gpus.map(({ uuid, layout }) => [uuid, formatLayout(layout)]);
  const allocations = order.allocations.map(({ id, workload, workspace, devices, intent }) => [
    id,
    workload,
    workspace,
    // Not sorted: the order of devices is what the command sees.
    devices.map(({ gpu, slice, share }) => [gpu, slice === undefined ? 'whole' : formatSlice(slice), ...entriesOf(share)]),
    intent.kind === 'stop'
      ? [intent.graceSeconds]
      : [intent.command, entriesOf(intent.environment), intent.workingDirectory ?? null, ...entriesOf(intent.limits)],
  ]);
  return JSON.stringify([gpus.sort(byFirst), allocations.sort(byFirst), ...entriesOf(order.enforcement)]);
}

function entriesOf(record: object | undefined): readonly (readonly [string, unknown])[] {
  return Object.entries(record ?? {})
    .filter(([, value]) => value !== undefined)
    .sort(byFirst);
}

function byFirst(a: readonly unknown[], b: readonly unknown[]): number {
  return String(a[0]) < String(b[0]) ? -1 : 1;
}

/** What the order says against itself or the node, or `undefined`. A GPU that is not there is no contradiction: it may come back. */
function contradictionIn(order: Order, node: NodeKnowledge): string | undefined {
  if (new Set(order.gpus.map((gpu) => gpu.uuid)).size < order.gpus.length) return 'a GPU is named twice';
  if (new Set(order.allocations.map((one) => one.id)).size < order.allocations.length) return 'an allocation is named twice';
  for (const gpu of order.gpus) {
    const fault = gpu.layout.kind === 'mig' ? overlapIn(gpu.layout.slices, node.profilesOf(gpu.uuid)) : undefined;
    if (fault !== undefined) return `${gpu.uuid}: ${fault}`;
  }
  for (const allocation of order.allocations) {
    const fault = allocation.devices.map((device) => unheldDevice(order, allocation, device)).find((text) => text !== undefined);
    if (fault !== undefined) return fault;
    if (allocation.intent.kind === 'run' && allocation.intent.command.length === 0) return `${allocation.id} has no command`;
    const beside = mpsBesideOthers(allocation);
    if (beside !== undefined) return beside;
  }
  return doubleBooking(
    order.allocations.filter(({ id }) => !node.hasEnded(id)),
    node,
  );
}

function overlapIn(slices: readonly WantedSlice[], profiles: readonly Profile[]): string | undefined {
  const starts = new Set(slices.map((slice) => slice.start));
  if (starts.size < slices.length) return 'two slices have the same start';
  const grid = gridOf(profiles);
  // Only what can never be meant; the rest the driver judges, which fails one allocation and not the whole order.
  const overlap = grid === undefined ? undefined : violationsOf(grid, slices).find((violation) => violation.kind === 'overlap');
  return overlap === undefined ? undefined : describeViolation(overlap);
}

function unheldDevice(order: Order, allocation: DesiredAllocation, device: AllocatedDevice): string | undefined {
  const layout = order.gpus.find((gpu) => gpu.uuid === device.gpu)?.layout;
  if (layout === undefined) return undefined;
  const { slice } = device;
  const holds =
    slice === undefined ? layout.kind === 'whole' : layout.kind === 'mig' && layout.slices.some((other) => sameSlice(other, slice));
  // What is being stopped may be leaving a layout that is ordered already.
  return holds || allocation.intent.kind === 'stop' ? undefined : `${allocation.id} holds what the layout of ${device.gpu} does not`;
}

/** A process speaks to one MPS daemon, which shows it one device. */
function mpsBesideOthers({ id, devices }: DesiredAllocation): string | undefined {
  return devices.length > 1 && devices.some(({ share }) => share?.kind === 'mps')
    ? `${id} holds ${devices.length} devices, one of them by MPS; a process that uses MPS sees the one device of its daemon`
    : undefined;
}
