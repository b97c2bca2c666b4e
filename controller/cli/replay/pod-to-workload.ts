import type { SubmitWorkloadInput } from '@astrago/api';
import type { TracePod } from './pod-trace.ts';
import { type ProfileTable, smallestFor } from './profile-sizes.ts';

export interface Mapping {
  readonly table: ProfileTable;
  readonly workspace: string;
  readonly prefix: string | undefined;
  readonly respectModel: boolean;
  readonly speed: number;
  readonly minMs: number;
  readonly maxMs: number;
}

/** Shares become slices, whole GPUs stay whole, the rest asks for no GPU; CPU and memory stay as recorded. */
export function podToWorkload(pod: TracePod, mapping: Mapping): SubmitWorkloadInput {
  const shares = pod.gpuCount === 1 && pod.gpuMilli > 0 && pod.gpuMilli < 1000;
  const slice = shares ? smallestFor(pod.gpuMilli, mapping.table) : undefined;
  const name = pod.name.toLowerCase().replace(/[^a-z0-9-]/g, '-');
  return {
    name: mapping.prefix === undefined ? name : `${mapping.prefix}-${name}`,
    workspace: mapping.workspace,
    command: ['sleep', (runMs(pod, mapping) / 1000).toFixed(3)],
    // A share that no profile is large enough for takes the GPU.
    ...(slice !== undefined ? { slice } : pod.gpuCount > 0 ? { gpus: pod.gpuCount } : {}),
    ...(mapping.respectModel && pod.models.length === 1 && pod.gpuCount > 0 ? { model: pod.models[0] } : {}),
    cpuMilli: pod.cpuMilli,
    memoryMiB: pod.memoryMiB,
  };
}

/** What never ended in the trace runs for the longest time allowed. */
export function runMs(pod: Pick<TracePod, 'ranSeconds'>, mapping: Pick<Mapping, 'speed' | 'minMs' | 'maxMs'>): number {
  if (pod.ranSeconds === undefined) return mapping.maxMs;
  return Math.round(Math.min(mapping.maxMs, Math.max(mapping.minMs, (pod.ranSeconds * 1000) / mapping.speed)));
}
