import { type Machine, Refusal } from './machine.ts';
import { csvTime } from './printed-time.ts';
import type { CsvFormat } from './query-gpu.ts';
import { visibleGpus } from './selected-gpus.ts';
import { processMemory, scanProcesses } from './telemetry.ts';

const known = [
  'timestamp',
  'gpu_name',
  'gpu_bus_id',
  'gpu_serial',
  'gpu_uuid',
  'pid',
  'process_name',
  'name',
  'used_gpu_memory',
  'used_memory',
];

/** `--query-compute-apps=…`: knows no instance, a process in a slice shows its whole GPU. */
export function queryComputeApps(machine: Machine, names: string, format: CsvFormat, ids: string | undefined): number {
  const { answer, model } = machine;
  const fields = names.split(',').map((name) => name.trim());
  const unknown = fields.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new Refusal(2, `Field "${unknown}" is not a valid field to query.`);
  const visible = visibleGpus(machine, ids);
  const now = new Date();
  if (format.header) answer.print(fields.map((name) => (isMemory(name) ? `${name} [MiB]` : name)).join(', '));
  for (const process of scanProcesses(machine)) {
    const { gpu } = process;
    if (!visible.gpus.some((candidate) => candidate.uuid === gpu.uuid)) continue;
    const used = processMemory(model, process);
    const value = (name: string): string | number => {
      switch (name) {
        case 'timestamp':
          return csvTime(now);
        case 'gpu_name':
          return model.productName;
        case 'gpu_bus_id':
          return gpu.busId;
        case 'gpu_serial':
          return gpu.serial;
        case 'gpu_uuid':
          return gpu.uuid;
        case 'pid':
          return process.pid;
        case 'process_name':
        case 'name':
          return process.name;
        default:
          return format.units ? `${used} MiB` : used;
      }
    };
    answer.print(fields.map(value).join(', '));
  }
  if (visible.lostLine !== undefined) answer.print(visible.lostLine);
  return visible.exitCode;
}

function isMemory(name: string): boolean {
  return name === 'used_gpu_memory' || name === 'used_memory';
}
