import { exitCodeFor, type Machine, Refusal, requireRoot } from './machine.ts';
import type { GpuInstance, GpuState } from './machine-state.ts';
import { inUse } from './mig-create.ts';
import { instancesOf } from './mig-listing.ts';
import { changeInstance, endStep, orRefuse, StepFailure } from './state-change.ts';
import { scanProcesses } from './telemetry.ts';

/** `mig -dgi`: refused for an instance that still holds a compute instance; stops at the first failure. */
export function destroyInstances(machine: Machine, gpus: readonly GpuState[], wanted: (instance: GpuInstance) => boolean): number {
  requireRoot(machine, 'Failed to destroy GPU instances: Insufficient Permissions');
  for (const { gpu, instance } of instancesOf(machine, gpus, wanted)) {
    const what = `GPU instance ID ${pad(instance.id)} from GPU ${pad(gpu.index)}`;
    orRefuse(`Unable to destroy ${what}`, 'Failed to destroy GPU instances', () =>
      changeInstance(machine, gpu.uuid, (fresh) => {
        const live = findLive(machine, fresh, instance.id);
        if (live.computeInstances.length > 0 || machine.busyGpus.has(gpu.uuid)) throw inUse(machine);
        fresh.instances = fresh.instances.filter((other) => other !== live);
      }),
    );
    machine.answer.print(`Successfully destroyed ${what}`);
    endStep(machine);
  }
  return 0;
}

/** `mig -dci`: refused while a process runs in the slice. */
export function destroyComputeInstances(
  machine: Machine,
  gpus: readonly GpuState[],
  wanted: (instance: GpuInstance) => boolean,
  ids: readonly number[] | undefined,
): number {
  requireRoot(machine, 'Failed to destroy compute instances: Insufficient Permissions');
  const doomed = instancesOf(machine, gpus, wanted).flatMap(({ gpu, instance }) =>
    instance.computeInstances.filter((compute) => ids?.includes(compute.id) ?? true).map((compute) => ({ gpu, instance, compute })),
  );
  if (doomed.length === 0) throw new Refusal(exitCodeFor(machine, 'not-found'), 'No compute instances found: Not Found');
  for (const { gpu, instance, compute } of doomed) {
    const what = `compute instance ID ${pad(compute.id)} from GPU ${pad(gpu.index)} GPU instance ID ${pad(instance.id)}`;
    orRefuse(`Unable to destroy ${what}`, 'Failed to destroy compute instances', () =>
      changeInstance(machine, gpu.uuid, (fresh) => {
        const live = findLive(machine, fresh, instance.id);
        const gone = live.computeInstances.find((candidate) => candidate.id === compute.id);
        if (!gone) throw new StepFailure('Not Found', exitCodeFor(machine, 'not-found'));
        const held = scanProcesses(machine).some((one) => one.device?.compute.migUuid === gone.migUuid);
        if (held || machine.busyGpus.has(gpu.uuid)) throw inUse(machine);
        live.computeInstances = live.computeInstances.filter((other) => other !== gone);
      }),
    );
    machine.answer.print(`Successfully destroyed ${what}`);
    endStep(machine);
  }
  return 0;
}

function findLive(machine: Machine, gpu: GpuState, id: number): GpuInstance {
  const live = gpu.instances.find((candidate) => candidate.id === id);
  if (!live) throw new StepFailure('Not Found', exitCodeFor(machine, 'not-found'));
  return live;
}

function pad(number: number): string {
  return String(number).padStart(2);
}
