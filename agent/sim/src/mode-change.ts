import { otherNvidiaSmiRuns } from './attached-processes.ts';
import { exitCodeFor, type Machine, Refusal, requireRoot } from './machine.ts';
import type { GpuState } from './machine-state.ts';
import { changeGpu } from './state-change.ts';
import { scanProcesses } from './telemetry.ts';

const terminating = 'Terminating early due to previous errors.';

type ModeChange = 'done' | 'pending-in-use' | 'pending-not-supported' | 'refused' | 'not-supported';

/** `-mig 0|1`. A change that cannot take effect yet is a warning, exit code 0 unless `-eow`. */
export function setMigMode(machine: Machine, gpus: readonly GpuState[], value: string, errorOnWarning: boolean): number {
  const { answer } = machine;
  const enable = ['1', 'ENABLED'].includes(value.toUpperCase());
  if (!enable && !['0', 'DISABLED'].includes(value.toUpperCase())) {
    throw new Refusal(2, `Invalid value ${value} for option -mig. Please run 'nvidia-smi -h' for help.`);
  }
  const verb = enable ? 'enable' : 'disable';
  requireRoot(machine, ...gpus.map((gpu) => `Unable to ${verb} MIG Mode for GPU ${gpu.busId}: Insufficient Permissions`), terminating);
  let warned = false;
  const unpersisted: GpuState[] = [];
  for (const gpu of gpus) {
    const { busId } = gpu;
    const outcome = machine.model.mig ? changeGpu(machine, gpu.uuid, (fresh) => changeMode(machine, fresh, enable)) : 'not-supported';
    switch (outcome) {
      case 'done':
        answer.print(`${enable ? 'Enabled' : 'Disabled'} MIG Mode for GPU ${busId}`);
        if (!gpu.persistence) unpersisted.push(gpu);
        break;
      case 'pending-in-use':
        warned = true;
        answer.print(`Warning: MIG mode is in pending ${verb} state for GPU ${busId}:In use by another client`);
        answer.print(
          `${busId} is currently being used by one or more other processes (e.g. CUDA application or a monitoring application such as another instance of nvidia-smi). Please first kill all processes using the device and retry the command or reboot the system to make MIG mode effective.`,
        );
        break;
      case 'pending-not-supported':
        warned = true;
        answer.print(`Warning: MIG mode is in pending ${verb} state for GPU ${busId}:Not Supported`);
        answer.print(`Reboot the system or try nvidia-smi --gpu-reset to make MIG mode effective on GPU ${busId}`);
        break;
      case 'refused':
        throw new Refusal(
          exitCodeFor(machine, 'in-use'),
          `Unable to ${verb} MIG Mode for GPU ${busId}: In use by another client`,
          terminating,
        );
      case 'not-supported':
        answer.print(`Unable to ${verb} MIG Mode for GPU ${busId}: Not Supported`);
        answer.print('Treating as warning and moving on.');
        warned = true;
        break;
      default:
        outcome satisfies never;
    }
  }
  if (unpersisted.length > 0) answer.print('');
  for (const gpu of unpersisted) {
    answer.print(
      `Warning: persistence mode is disabled on device ${gpu.busId}. See the Known Issues section of the nvidia-smi(1) man page for more information. Run with [--help | -h] switch to get more information on how to enable persistence mode.`,
    );
  }
  answer.print('All done.');
  return warned && errorOnWarning ? exitCodeFor(machine, 'warning') : 0;
}

function changeMode(machine: Machine, gpu: GpuState, enable: boolean): ModeChange {
  const { behaviour } = machine.faults;
  const needsReset = machine.model.mig?.modeChangeNeedsReset ?? false;
  if (gpu.migCurrent === enable) {
    gpu.migPending = enable;
    return 'done';
  }
  const wipes = behaviour?.disableMigWithInstances === 'wipe';
  if (!enable && gpu.instances.length > 0 && !wipes) return 'refused';
  if (isHeld(machine, gpu, needsReset)) {
    gpu.migPending = enable;
    return 'pending-in-use';
  }
  if (needsReset && behaviour?.resetUnsupported) {
    gpu.migPending = enable;
    return 'pending-not-supported';
  }
  applyMode(gpu, enable);
  return 'done';
}

function applyMode(gpu: GpuState, enable: boolean): void {
  gpu.migCurrent = enable;
  gpu.migPending = enable;
  gpu.instances = [];
  // Exclusive modes do not exist under MIG.
  if (enable) gpu.computeMode = 'Default';
}

/** A monitoring call in flight holds the GPU as well, which a reset does not survive. */
function isHeld(machine: Machine, gpu: GpuState, byReset: boolean): boolean {
  if (machine.busyGpus.has(gpu.uuid)) return true;
  if (scanProcesses(machine).some((one) => one.gpu.uuid === gpu.uuid)) return true;
  return byReset && !machine.faults.behaviour?.ignoreOtherNvidiaSmi && otherNvidiaSmiRuns(machine.directory);
}

/** `--gpu-reset`: wipes instances and makes a pending mode effective. */
export function resetGpus(machine: Machine, gpus: readonly GpuState[]): number {
  const { answer, driver } = machine;
  requireRoot(machine, ...gpus.map((gpu) => `Unable to reset GPU ${gpu.busId}: Insufficient Permissions`), terminating);
  if (machine.faults.behaviour?.resetUnsupported) {
    throw new Refusal(3, ...gpus.map((gpu) => `Resetting GPU ${gpu.busId} is not supported.`));
  }
  const held: GpuState[] = [];
  for (const gpu of gpus) {
    const done = changeGpu(machine, gpu.uuid, (fresh) => {
      if (isHeld(machine, fresh, true)) return false;
      applyMode(fresh, fresh.migPending);
      return true;
    });
    if (done) answer.print(`GPU ${gpu.busId} was successfully reset.`);
    else held.push(gpu);
  }
  if (held.length === 0) {
    answer.print('All done.');
    return 0;
  }
  if (driver.major < 550) for (const gpu of held) answer.print(`GPU ${gpu.busId} is currently in use by another process.`);
  else {
    answer.print('The following GPUs could not be reset:');
    for (const gpu of held) answer.print(`  GPU ${gpu.busId}: In use by another client`);
  }
  answer.print('');
  const count = held.length === 1 ? '1 device is' : `${held.length} devices are`;
  const those = held.length === 1 ? 'this device' : 'these devices';
  answer.print(
    `${count} currently being used by one or more other processes (e.g., Fabric Manager, CUDA application, graphics application such as an X server, or a monitoring application such as another instance of nvidia-smi). Please first kill all processes using ${those} and all compute applications running in the system.`,
  );
  return 255;
}
