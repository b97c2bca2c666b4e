import { exitCodeFor, type Machine, Refusal, requireRoot } from './machine.ts';
import type { ComputeMode, GpuState } from './machine-state.ts';
import { changeGpu } from './state-change.ts';

const terminating = 'Terminating early due to previous errors.';

/** `-pm 0|1` */
export function setPersistence(machine: Machine, gpus: readonly GpuState[], value: string): number {
  const enable = isOn(value, '-pm');
  const word = enable ? 'Enabled' : 'Disabled';
  requireRoot(machine, ...gpus.map((gpu) => `Unable to set persistence mode for GPU ${gpu.busId}: Insufficient Permissions`), terminating);
  for (const gpu of gpus) {
    if (gpu.persistence === enable) machine.answer.print(`Persistence mode is already ${word} for GPU ${gpu.busId}.`);
    else {
      changeGpu(machine, gpu.uuid, (fresh) => {
        fresh.persistence = enable;
      });
      machine.answer.print(`${word} persistence mode for GPU ${gpu.busId}.`);
    }
  }
  machine.answer.print('All done.');
  return 0;
}

const computeModes: Readonly<Record<string, readonly [string, ComputeMode]>> = {
  '0': ['DEFAULT', 'Default'],
  DEFAULT: ['DEFAULT', 'Default'],
  '2': ['PROHIBITED', 'Prohibited'],
  PROHIBITED: ['PROHIBITED', 'Prohibited'],
  '3': ['EXCLUSIVE_PROCESS', 'Exclusive_Process'],
  EXCLUSIVE_PROCESS: ['EXCLUSIVE_PROCESS', 'Exclusive_Process'],
};

/** `-c mode`; a GPU in MIG mode takes DEFAULT only. */
export function setComputeMode(machine: Machine, gpus: readonly GpuState[], value: string): number {
  const mode = computeModes[value.toUpperCase()];
  if (!mode) throw new Refusal(2, `Invalid value ${value} for option -c. Please run 'nvidia-smi -h' for help.`);
  const [word, wanted] = mode;
  requireRoot(machine, ...gpus.map((gpu) => `Unable to set the compute mode for GPU ${gpu.busId}: Insufficient Permissions`), terminating);
  for (const gpu of gpus) {
    if (gpu.migCurrent && wanted !== 'Default') {
      throw new Refusal(3, `Unable to set the compute mode to ${word} for GPU ${gpu.busId}: Not Supported`, terminating);
    }
    if (gpu.computeMode === wanted) {
      machine.answer.print(`Compute mode is already set to ${word} for GPU ${gpu.busId}.`);
      continue;
    }
    changeGpu(machine, gpu.uuid, (fresh) => {
      fresh.computeMode = wanted;
    });
    machine.answer.print(`Set compute mode to ${word} for GPU ${gpu.busId}.`);
  }
  machine.answer.print('All done.');
  return 0;
}

/** `-pl watts` */
export function setPowerLimit(machine: Machine, gpus: readonly GpuState[], value: string): number {
  const watts = Number(value);
  const { powerMinWatts: min, powerLimitWatts: max } = machine.model;
  requireRoot(machine, ...gpus.map((gpu) => `Unable to set the power limit for GPU ${gpu.busId}: Insufficient Permissions`), terminating);
  for (const gpu of gpus) {
    if (!(watts >= min && watts <= max)) {
      const range = `between ${min.toFixed(2)} W and ${max.toFixed(2)} W for GPU ${gpu.busId}`;
      const text = `Provided power limit ${watts.toFixed(2)} W is not a valid power limit which should be ${range}`;
      throw new Refusal(exitCodeFor(machine, 'invalid'), text, terminating);
    }
    changeGpu(machine, gpu.uuid, (fresh) => {
      fresh.powerLimitWatts = watts;
    });
    machine.answer.print(`Power limit for GPU ${gpu.busId} was set to ${watts.toFixed(2)} W from ${gpu.powerLimitWatts.toFixed(2)} W.`);
  }
  machine.answer.print('All done.');
  return 0;
}

function isOn(value: string, option: string): boolean {
  const on = ['1', 'ENABLED'].includes(value.toUpperCase());
  if (!on && !['0', 'DISABLED'].includes(value.toUpperCase())) {
    throw new Refusal(2, `Invalid value ${value} for option ${option}. Please run 'nvidia-smi -h' for help.`);
  }
  return on;
}
