import { requireComputeProfile, requireProfile } from './gpu-model.ts';
import type { Machine } from './machine.ts';
import { migDevices } from './machine-state.ts';
import { visibleGpus } from './selected-gpus.ts';

/** `nvidia-smi -L`. The name of a MIG device is that of its compute instance profile. */
export function listGpus(machine: Machine, ids: string | undefined): number {
  const { answer, model } = machine;
  const visible = visibleGpus(machine, ids);
  for (const gpu of visible.gpus) {
    answer.print(`GPU ${gpu.index}: ${model.productName} (UUID: ${gpu.uuid})`);
    if (!model.mig || !gpu.migCurrent) continue;
    for (const { index, instance, compute } of migDevices(gpu)) {
      const profile = requireComputeProfile(requireProfile(model.mig, instance.profileId), compute.profileId);
      const name = profile.name.slice('MIG '.length).padEnd(12);
      answer.print(`  MIG ${name}Device ${String(index).padStart(2)}: (UUID: ${compute.migUuid})`);
    }
  }
  if (visible.lostLine !== undefined) answer.print(visible.lostLine);
  return visible.exitCode;
}
