import type { GpuUuid } from '@astrago/shared/domain/ids';
import type { SharingStep } from '#core/sharing/next-sharing-step';
import type { ComputeModes, ModeMemory } from './compute-modes.ts';
import type { CudaDevice, MpsControl } from './mps-control.ts';

export interface SharingStepPorts {
  readonly control: MpsControl;
  readonly computeModes: ComputeModes;
  readonly modes: ModeMemory;
}

/** As it stands in the ledger, with the name of the device after it; equal for steps that should have the same effect. */
export function describe(step: SharingStep): string {
  switch (step.kind) {
    case 'set-compute-mode':
      return `set compute mode ${step.mode} on`;
    case 'forget-compute-mode':
      return 'leave the compute mode of';
    case 'start-mps':
      return 'start MPS on';
    case 'set-mps-limits':
      return `limit MPS clients to ${step.limits.threadPercentage} % and ${step.limits.memoryMiB ?? 'all'} MiB on`;
    case 'stop-mps':
      return 'stop MPS on';
    case 'clear-mps':
      return 'clear what MPS left on';
    default:
      return step satisfies never;
  }
}

export async function run(step: SharingStep, at: CudaDevice, gpu: GpuUuid, ports: SharingStepPorts, signal: AbortSignal): Promise<void> {
  const { control, computeModes, modes } = ports;
  switch (step.kind) {
    case 'set-compute-mode':
      // Taking it back leaves the memory of it as it is until it is done: else a crash in between would make it a person's.
      if (step.mode !== step.before) await modes.remember(gpu, { before: step.before, set: step.mode });
      return computeModes.setComputeMode(gpu, step.mode, signal);
    case 'forget-compute-mode':
      return modes.forget(gpu);
    case 'start-mps':
      return control.start(at, signal);
    case 'set-mps-limits':
      return control.setLimits(at, step.limits, signal);
    case 'stop-mps':
      return control.stop(at, signal);
    case 'clear-mps':
      return control.clear(at, signal);
    default:
      return step satisfies never;
  }
}
