// What is known of GPUs where `--query-gpu` is refused.
import type { GpuFacts } from './gpu-facts.ts';
import type { DeviceLog } from './parse-device-log.ts';
import type { ListedGpu } from './parse-gpu-list.ts';

/** The log does not number GPUs; it is by ascending index. One that says nothing of its mode that we know is left out. */
export function factsOfLog(log: DeviceLog): readonly GpuFacts[] {
  return log.gpus.flatMap((gpu, index): readonly GpuFacts[] => {
    const { migMode, migPendingMode: pending } = gpu;
    if (migMode === 'unknown') return [];
    return [
      {
        uuid: gpu.uuid,
        index,
        model: gpu.model ?? '',
        pciBusId: gpu.pciBusId,
        memoryMiB: gpu.memoryMiB,
        migMode,
        modeIsTold: true,
        migPending: (pending === 'enabled' || pending === 'disabled') && pending !== migMode ? pending === 'enabled' : undefined,
        driverVersion: log.driverVersion,
        isLost: gpu.isLost,
      },
    ];
  });
}

/** A GPU with MIG devices is cut; of one without, nothing is known, so nothing of the kind is offered. */
export function factsOfListed(gpu: ListedGpu): GpuFacts {
  return {
    uuid: gpu.uuid,
    index: gpu.index,
    model: gpu.name,
    pciBusId: '',
    memoryMiB: undefined,
    migMode: gpu.devices.length > 0 ? 'enabled' : 'not-offered',
    modeIsTold: gpu.devices.length > 0,
    migPending: undefined,
    driverVersion: undefined,
  };
}
