import type { Workload } from '@astrago/api';
import { humanMemory, percentOfMilli, plural } from './quantity.ts';

type Asked = Pick<Workload, 'slice' | 'count' | 'atLeast' | 'share' | 'gpus' | 'model'>;

/** What was asked for, in one word or two: `3g.40gb`, `1g.10gb*2`, `>=20Gi/2`, `30% mps`, `2 gpus h100`, `no gpu`. */
export function askText(workload: Asked): string {
  const amount = amountText(workload);
  return workload.model === undefined ? amount : `${amount} ${workload.model}`;
}

function amountText({ slice, count, atLeast, share, gpus }: Asked): string {
  if (slice !== undefined) return times(slice, count ?? 1);
  if (atLeast !== undefined) {
    const compute = atLeast.computeSlices === 1 ? '' : `/${atLeast.computeSlices}`;
    return times(`>=${humanMemory(atLeast.memoryMiB)}${compute}`, atLeast.count);
  }
  if (share !== undefined) return shareText(share);
  return gpus ? plural(gpus, 'gpu') : 'no gpu';
}

function times(what: string, count: number): string {
  return count === 1 ? what : `${what}*${count}`;
}

/** `30% mps`, `30% mps 10Gi`. */
export function shareText({ by, milli, memoryMiB }: NonNullable<Workload['share']>): string {
  return [percentOfMilli(milli), by, humanMemory(memoryMiB)].filter((part) => part !== undefined).join(' ');
}

/** Where it is: `sim-1/0 3g.40gb@4`, one part a device. */
export function placeText(workload: Pick<Workload, 'node' | 'devices'>): string | undefined {
  if (workload.node === undefined) return undefined;
  if (workload.devices.length === 0) return workload.node;
  const inOrder = [...workload.devices].sort((a, b) => (a.gpuIndex ?? 0) - (b.gpuIndex ?? 0));
  const devices = inOrder.map(({ gpuIndex, gpuUuid, slice, share }) => {
    const gpu = gpuIndex ?? gpuUuid;
    if (share !== undefined) return `${gpu} ${percentOfMilli(share.milli)} ${share.by}`;
    return slice === undefined ? `${gpu}` : `${gpu} ${slice.profile}@${slice.start}`;
  });
  return `${workload.node}/${devices.join(',')}`;
}
