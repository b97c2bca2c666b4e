import type { InventoryDocument } from './inventory-document.ts';

type Gpu = InventoryDocument['gpus'][number];

/** The document for people. Ends in a newline. */
export function inventoryTable(document: InventoryDocument): string {
  const parts = [
    `${document.node}, ${document.driverVersion === undefined ? 'driver unknown' : `driver ${document.driverVersion}`}`,
    document.gpus.length === 0
      ? 'No GPUs.'
      : columns([['GPU', 'MODEL', 'MEMORY', 'MIG', 'UTIL', 'USED', 'TEMP', 'POWER', 'UUID'], ...document.gpus.map(gpuRow)]),
  ];
  const slices = document.gpus.flatMap((gpu) =>
    gpu.slices.map((slice) => [
      String(gpu.index),
      `${slice.profile ?? '-'}${slice.start === undefined ? '' : `@${slice.start}`}`,
      text(slice.gpuInstanceId),
      text(slice.computeInstanceId),
      memory(slice.readings['memoryUsedBytes']),
      slice.migUuid ?? '-',
    ]),
  );
  if (slices.length > 0) parts.push(columns([['GPU', 'SLICE', 'GI', 'CI', 'USED', 'UUID'], ...slices]));
  if (document.processes.length > 0) {
    const index = new Map(document.gpus.map((gpu) => [gpu.uuid, gpu.index]));
    const rows = document.processes.map((process) => [
      text(index.get(process.gpuUuid)),
      text(process.gpuInstanceId),
      text(process.computeInstanceId),
      String(process.pid),
      memory(process.usedMemoryBytes),
      process.allocation ?? '-',
      printable(process.name),
    ]);
    parts.push(columns([['GPU', 'GI', 'CI', 'PID', 'MEMORY', 'ALLOCATION', 'PROCESS'], ...rows]));
  }
  const findings = [
    ...document.conditions.map((one) => [one.severity, one.kind, one.gpuUuid ?? 'node', action(one.action), printable(one.detail)]),
    ...document.gpus.flatMap((gpu) =>
      gpu.conditions.map((one) => [one.severity, one.kind, `GPU ${gpu.index}`, action(one.action), printable(one.detail)]),
    ),
  ];
  if (findings.length > 0) parts.push(columns([['SEVERITY', 'FINDING', 'OF', 'DO', 'DETAIL'], ...findings]));
  return `${parts.join('\n\n')}\n`;
}

function gpuRow(gpu: Gpu): readonly string[] {
  const { readings } = gpu;
  return [
    String(gpu.index),
    gpu.model,
    memory(gpu.memoryBytes),
    gpu.mig.capable
      ? `${gpu.mig.enabled ? 'on' : 'off'}${gpu.mig.pending === undefined ? '' : ` (${gpu.mig.pending ? 'on' : 'off'} after a reset)`}`
      : '-',
    scaled(readings['gpuUtilizationRatio'], 100, '%'),
    memory(readings['memoryUsedBytes']),
    scaled(readings['temperatureCelsius'], 1, 'C'),
    scaled(readings['powerWatts'], 1, 'W'),
    gpu.uuid,
  ];
}

function columns(rows: readonly (readonly string[])[]): string {
  const widths = rows.reduce<readonly number[]>((most, row) => row.map((cell, at) => Math.max(cell.length, most[at] ?? 0)), []);
  return rows
    .map((row) =>
      row
        .map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function text(value: number | undefined): string {
  return value === undefined ? '-' : String(value);
}

function memory(bytes: number | boolean | string | undefined): string {
  return typeof bytes === 'number' ? `${Math.round(bytes / 2 ** 20)}Mi` : '-';
}

function scaled(value: number | boolean | string | undefined, by: number, unit: string): string {
  return typeof value === 'number' ? `${Math.round(value * by)}${unit}` : '-';
}

function action(name: string): string {
  return name === 'none' ? '-' : name;
}

/** Others choose the names of processes and what a stand-in prints; neither may steer a terminal. */
function printable(name: string): string {
  return name.replace(/\p{Cc}/gu, '?');
}
