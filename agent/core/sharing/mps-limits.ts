// From a share to the limits that MPS knows: a percentage of threads and an amount of memory.
import type { Share } from '../order.ts';

export interface MpsLimits {
  /** Above 0, at most 100. */
  readonly threadPercentage: number;
  /** Absent when neither the order nor the driver says how much there is: then none is set. */
  readonly memoryMiB: number | undefined;
}

export type MpsShare = Extract<Share, { kind: 'mps' }>;

/**
 * Never more than the share: percentages are whole, as they are documented, and rounded down. Below one percent that
 * would be nothing, so there the tenth is kept.
 */
export function mpsLimitsOf(share: MpsShare, deviceMemoryMiB: number | undefined): MpsLimits {
  const threadPercentage = share.milli >= 10 ? Math.floor(share.milli / 10) : share.milli / 10;
  return { threadPercentage, memoryMiB: memoryShareOf(share, deviceMemoryMiB) };
}

/** Absent in the order: as large a part of the memory as of the compute. */
export function memoryShareOf(share: MpsShare, deviceMemoryMiB: number | undefined): number | undefined {
  if (share.memoryMiB !== undefined) return share.memoryMiB;
  return deviceMemoryMiB === undefined ? undefined : Math.floor((share.milli * deviceMemoryMiB) / 1000);
}

/**
 * What a server lets any of its clients have: as much as the largest share. A client's environment can only tighten
 * it, so that a program which drops its own limits gets no more than the largest of its neighbours.
 */
export function widest(limits: readonly MpsLimits[]): MpsLimits | undefined {
  if (limits.length === 0) return undefined;
  const memory = limits.map((one) => one.memoryMiB);
  return {
    threadPercentage: Math.max(...limits.map((one) => one.threadPercentage)),
    memoryMiB: memory.some((one) => one === undefined) ? undefined : Math.max(...memory.filter((one) => one !== undefined)),
  };
}
