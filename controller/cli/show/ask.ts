import type { Workload } from '@astrago/api';

/** What was asked for, in one word or two: `3g.40gb`, `2 gpus h100`, `no gpu`. */
export function askText(workload: Pick<Workload, 'slice' | 'gpus' | 'model'>): string {
  const amount = workload.slice ?? (workload.gpus ? `${workload.gpus} gpu${workload.gpus === 1 ? '' : 's'}` : 'no gpu');
  return workload.model === undefined ? amount : `${amount} ${workload.model}`;
}

/** Where it is: `sim-1/0 3g.40gb@4`, one part a device. */
export function placeText(workload: Pick<Workload, 'node' | 'devices'>): string | undefined {
  if (workload.node === undefined) return undefined;
  if (workload.devices.length === 0) return workload.node;
  const inOrder = [...workload.devices].sort((a, b) => (a.gpuIndex ?? 0) - (b.gpuIndex ?? 0));
  const devices = inOrder.map((device) => {
    const gpu = device.gpuIndex ?? device.gpuUuid;
    return device.slice === undefined ? `${gpu}` : `${gpu} ${device.slice.profile}@${device.slice.start}`;
  });
  return `${workload.node}/${devices.join(',')}`;
}
