import { exitCodeFor, type Machine, Refusal, requireRoot } from './machine.ts';
import type { ClockRange, GpuState } from './machine-state.ts';
import { changeGpu } from './state-change.ts';

const terminating = 'Terminating early due to previous errors.';

const kinds = {
  gpu: { field: 'lockedGpuClocks', word: 'GPU', letters: 'gpuClk' },
  memory: { field: 'lockedMemoryClocks', word: 'Memory', letters: 'memClk' },
} as const;

export type ClockKind = keyof typeof kinds;

/** `-lgc min,max` and `-lmc min,max`; one number stands for both. */
export function lockClocks(machine: Machine, gpus: readonly GpuState[], kind: ClockKind, value: string): number {
  const { field, word, letters } = kinds[kind];
  const [min = Number.NaN, max = min] = value.split(',').map(Number);
  const most = kind === 'gpu' ? machine.model.graphicsClockMaxMhz : (machine.model.memoryClocksMhz[0] ?? 0);
  requireRoot(
    machine,
    ...gpus.map((gpu) => `Unable to set locked ${word} clocks for GPU ${gpu.busId}: Insufficient Permissions`),
    terminating,
  );
  if (!(min > 0 && max >= min)) {
    throw new Refusal(exitCodeFor(machine, 'invalid'), `Invalid clocks ${value}. Please run 'nvidia-smi -h' for help.`);
  }
  const range: ClockRange = { min: Math.min(min, most), max: Math.min(max, most) };
  for (const gpu of gpus) {
    changeGpu(machine, gpu.uuid, (fresh) => {
      fresh[field] = range;
    });
    machine.answer.print(`${word} clocks set to "(${letters}Min ${min}, ${letters}Max ${max})" for GPU ${gpu.busId}`);
  }
  machine.answer.print('All done.');
  return 0;
}

/** `-rgc` and `-rmc` */
export function resetClocks(machine: Machine, gpus: readonly GpuState[], kind: ClockKind): number {
  const { field, word } = kinds[kind];
  requireRoot(machine, ...gpus.map((gpu) => `Unable to reset ${word} clocks for GPU ${gpu.busId}: Insufficient Permissions`), terminating);
  for (const gpu of gpus) {
    changeGpu(machine, gpu.uuid, (fresh) => {
      delete fresh[field];
    });
    machine.answer.print(`${word} clocks reset to default for GPU ${gpu.busId}`);
  }
  machine.answer.print('All done.');
  return 0;
}
