import type { LostGpu } from './faults.ts';
import { type Machine, Refusal } from './machine.ts';
import type { GpuState } from './machine-state.ts';

/** `-i`: index, serial, bus id or UUID, comma separated. Nothing given means every GPU. */
export function selectGpus(gpus: readonly GpuState[], ids: string | undefined): readonly GpuState[] | undefined {
  if (ids === undefined) return gpus;
  const wanted = ids.split(',').map((id) => gpus.find((gpu) => isNamed(gpu, id.trim())));
  if (wanted.some((gpu) => gpu === undefined)) return undefined;
  return gpus.filter((gpu) => wanted.includes(gpu));
}

function isNamed(gpu: GpuState, id: string): boolean {
  if (id === String(gpu.index) || id === gpu.serial || id === gpu.uuid) return true;
  const match = /^(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f])$/i.exec(id);
  return match !== null && `${(match[1] ?? '').padStart(8, '0')}:${match[2]}`.toUpperCase() === gpu.busId;
}

/**
 * The GPUs a command shows. A lost GPU either stops the command, or is skipped
 * with its line and leaves the code behind for the end.
 */
export function visibleGpus(machine: Machine, ids: string | undefined): VisibleGpus {
  const selected = selectGpus(machine.state.gpus, ids);
  if (!selected || selected.length === 0) throw new Refusal(6, 'No devices were found');
  const lost = lostGpu(machine);
  const gone = lost && selected.find((gpu) => gpu.uuid === lost.uuid);
  if (!lost || !gone) return { gpus: selected, lostLine: undefined, exitCode: 0 };
  const lostLine = lostText(machine, gone);
  const exitCode = lost.exitCode ?? 15;
  if (lost.aborts || selected.length === 1) throw new Refusal(exitCode, lostLine);
  return { gpus: selected.filter((gpu) => gpu !== gone), lostLine, exitCode };
}

export interface VisibleGpus {
  readonly gpus: readonly GpuState[];
  readonly lostLine: string | undefined;
  readonly exitCode: number;
}

function lostGpu(machine: Machine): LostGpu | undefined {
  const lost = machine.faults.gpuLost;
  return typeof lost === 'string' ? { uuid: lost } : lost;
}

function lostText(machine: Machine, gpu: GpuState): string {
  const bus = gpu.busId.slice(4);
  const which = machine.driver.major >= 570 ? `GPU${gpu.index}: ${bus}` : `GPU${bus}`;
  return `Unable to determine the device handle for ${which}: Unknown Error`;
}
