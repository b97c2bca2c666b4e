import type { GpuModel } from './gpu-model.ts';
import { withMachineLock } from './machine-lock.ts';
import { readState, writeState } from './state-file.ts';

/** Instances never survive a boot; the mode does where it is kept on the board (Ampere), pending or not. */
export function reboot(directory: string, model: GpuModel): void {
  withMachineLock(directory, () => {
    const state = readState(directory);
    const survives = model.mig?.modeSurvivesReboot ?? false;
    for (const gpu of state.gpus) {
      gpu.migCurrent = survives && gpu.migPending;
      gpu.migPending = gpu.migCurrent;
      gpu.instances = [];
      gpu.computeMode = 'Default';
      gpu.persistence = state.persistenceAtBoot;
      gpu.powerLimitWatts = model.powerLimitWatts;
      for (const setting of ['timeslice', 'lockedGpuClocks', 'lockedMemoryClocks'] as const) delete gpu[setting];
    }
    state.bootedAtMs = Date.now();
    writeState(directory, state);
  });
}
