// Who may hold one device together (I1): all in one way, and no more of it than there is.
import type { Share } from '../order.ts';
import type { DeviceCapacity } from './device-capacity.ts';
import { memoryShareOf } from './mps-limits.ts';

export interface Holder {
  readonly id: string;
  /** Absent: it has the device to itself. */
  readonly share: Share | undefined;
}

/** Why these allocations cannot hold one device together, or `undefined`. */
export function holdersFault(holders: readonly Holder[], device: DeviceCapacity): string | undefined {
  for (const holder of holders) {
    const fault = shareFault(holder, device);
    if (fault !== undefined) return fault;
  }
  const [first, ...others] = holders;
  const other = others.find((one) => one.id === first?.id || one.share?.kind !== first?.share?.kind || !isShareable(one.share));
  if (first !== undefined && other !== undefined) return clash(other, first);
  return sumsFault(holders, device);
}

function isShareable(share: Share | undefined): boolean {
  return share?.kind === 'mps' || share?.kind === 'time-sliced';
}

function clash(one: Holder, other: Holder): string {
  if (one.id === other.id) return `${one.id} holds the same place twice`;
  if (one.share?.kind === other.share?.kind) return `${one.id} and ${other.id} hold the same place`;
  return `${one.id} and ${other.id} hold the same place in two ways, ${wayOf(one.share)} and ${wayOf(other.share)}`;
}

function wayOf(share: Share | undefined): string {
  return share?.kind ?? 'alone';
}

function shareFault({ id, share }: Holder, device: DeviceCapacity): string | undefined {
  switch (share?.kind) {
    case undefined:
      return undefined;
    case 'exclusive-process':
      return device.cut ? `${id} asks for an exclusive process on a slice; that is for whole GPUs` : undefined;
    case 'mps':
      if (share.memoryMiB !== undefined && !(Number.isInteger(share.memoryMiB) && share.memoryMiB > 0))
        return `${id} asks for ${share.memoryMiB} MiB; a share of memory is a whole number above 0`;
      return milliFault(id, share.milli);
    case 'time-sliced':
      return milliFault(id, share.milli);
    default:
      return share satisfies never;
  }
}

function milliFault(id: string, milli: number): string | undefined {
  return Number.isInteger(milli) && milli >= 1 && milli <= 1000
    ? undefined
    : `${id} asks for ${milli} thousandths; a share is a whole number from 1 to 1000`;
}

function sumsFault(holders: readonly Holder[], device: DeviceCapacity): string | undefined {
  const names = holders.map(({ id }) => id).join(', ');
  const shares = holders.map(({ share }) => share).filter((share) => share?.kind === 'mps' || share?.kind === 'time-sliced');
  const milli = shares.reduce((sum, share) => sum + share.milli, 0);
  if (milli > 1000) return `${names} hold ${milli} thousandths together; there are 1000`;
  const clients = shares.filter((share) => share.kind === 'mps');
  if (clients.length > device.mpsClientsMax)
    return `${clients.length} allocations share it by MPS, which takes ${device.mpsClientsMax} clients there`;
  const { memoryMiB } = device;
  if (memoryMiB === undefined) return undefined;
  const memory = clients.reduce((sum, share) => sum + (memoryShareOf(share, memoryMiB) ?? 0), 0);
  return memory > memoryMiB ? `${names} hold ${memory} MiB together; there are ${memoryMiB}` : undefined;
}
