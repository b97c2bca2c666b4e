import type { ObservedProcess } from '../app/ports.ts';
import type { ComputeApp } from './parse-compute-apps.ts';
import type { LoggedGpu, LoggedProcess } from './parse-device-log.ts';
import { processTypeOf } from './process-type.ts';

/** A display server only draws. What has no type might compute. */
function computes(process: LoggedProcess): boolean {
  return process.type === undefined || /[CM]/.test(process.type);
}

export function loggedProcesses(gpus: readonly LoggedGpu[]): readonly ObservedProcess[] {
  return gpus.flatMap((gpu) =>
    gpu.processes.filter(computes).map((own) => ({
      gpuUuid: gpu.uuid,
      gpuInstanceId: own.gpuInstanceId,
      computeInstanceId: own.computeInstanceId,
      pid: own.pid,
      name: own.name,
      usedMemoryMiB: own.usedMemoryMiB,
      ...typed(processTypeOf(own.type, own.name)),
    })),
  );
}

export function listedProcesses(apps: readonly ComputeApp[]): readonly ObservedProcess[] {
  return apps.map((app) => ({
    ...app,
    gpuInstanceId: undefined,
    computeInstanceId: undefined,
    ...typed(processTypeOf('C', app.name)),
  }));
}

function typed(type: ObservedProcess['type']): Pick<ObservedProcess, 'type'> {
  return type === undefined ? {} : { type };
}
