import type { AttachedProcess } from './attached-processes.ts';
import { requireComputeProfile, requireProfile } from './gpu-model.ts';
import { healthOf } from './health.ts';
import type { Machine } from './machine.ts';
import { type GpuState, migDevices } from './machine-state.ts';
import { longTime } from './printed-time.ts';
import { visibleGpus } from './selected-gpus.ts';
import { bar1Memory, instanceMemory, processMemory, type Reading, readSensors, requireMig, scanProcesses } from './telemetry.ts';
import { cudaVersion } from './versions.ts';

/** Column widths: the box grew by two at 550. */
interface Layout {
  readonly width: number;
  readonly memoryCell: number;
  readonly migMemoryCell: number;
  readonly pid: number;
  readonly name: number;
}

const wide: Layout = { width: 89, memoryCell: 24, migMemoryCell: 34, pid: 17, name: 36 };
const narrow: Layout = { width: 87, memoryCell: 22, migMemoryCell: 32, pid: 11, name: 40 };

/** `nvidia-smi` alone: GPUs, MIG devices and processes in boxes. */
export function printSummary(machine: Machine, ids: string | undefined): number {
  const { answer, driver } = machine;
  const visible = visibleGpus(machine, ids);
  const now = new Date();
  const scanned = scanProcesses(machine);
  const layout = driver.major >= 550 ? wide : narrow;
  const rule = `+${'-'.repeat(layout.width)}+`;
  answer.print(`${longTime(now)}       `);
  answer.print(rule);
  answer.print(`| NVIDIA-SMI ${driver.version.padEnd(23)}${versionCells(driver.version, driver.major, layout)}     |`);
  printGpus(machine, layout, visible.gpus, (gpu) => readSensors(machine, gpu, scanned, now.getTime()));
  if (visible.gpus.some((gpu) => gpu.migCurrent)) printMigDevices(machine, layout, visible.gpus, scanned);
  answer.print(layout === wide ? '' : ' '.repeat(layout.width + 2));
  printProcesses(
    machine,
    layout,
    scanned.filter((one) => visible.gpus.some((gpu) => gpu.uuid === one.gpu.uuid)),
  );
  if (visible.lostLine !== undefined) answer.print(visible.lostLine);
  return visible.exitCode;
}

function versionCells(version: string, major: number, layout: Layout): string {
  if (major >= 610) return `KMD Version: ${version.padEnd(14)}CUDA UMD Version: ${cudaVersion(major)}`;
  return `Driver Version: ${version.padEnd(layout === wide ? 15 : 13)}CUDA Version: ${cudaVersion(major)}`;
}

function printGpus(machine: Machine, layout: Layout, gpus: readonly GpuState[], sensors: (gpu: GpuState) => Reading): void {
  const { answer, model } = machine;
  const cells = ['-'.repeat(41), '-'.repeat(layout.memoryCell), '-'.repeat(22)];
  const gap = layout === wide ? '  ' : '';
  answer.print(`${layout === wide ? '+' : '|'}${cells.join('+')}+`);
  answer.print(`| GPU  Name                 Persistence-M | Bus-Id        ${gap}Disp.A | Volatile Uncorr. ECC |`);
  answer.print(`| Fan  Temp   Perf          Pwr:Usage/Cap | ${gap}        Memory-Usage | GPU-Util  Compute M. |`);
  answer.print(`|                                         |                    ${gap}  |               MIG M. |`);
  answer.print(`|${cells.join('+').replaceAll('-', '=')}|`);
  for (const gpu of gpus) {
    const reading = sensors(gpu);
    const name = model.productName.length > 27 ? `${model.productName.slice(0, 24)}...` : model.productName;
    const persistence = gpu.persistence ? 'On  ' : 'Off ';
    const uncorrected = healthOf(machine.health, gpu).ecc?.uncorrected?.volatile;
    const ecc = gpu.migCurrent ? 'On' : String((uncorrected?.sram ?? 0) + (uncorrected?.dram ?? 0));
    const bus = `${gap ? '   ' : ' '}${gpu.busId} Off `;
    answer.print(`|${String(gpu.index).padStart(4)}  ${name.padEnd(27)}    ${persistence}|${bus}|${ecc.padStart(21)} |`);
    const watts = `${Math.floor(reading.powerWatts)}W`.padStart(17);
    const limit = `${Math.round(gpu.powerLimitWatts)}W`.padStart(gap ? 5 : 4);
    const used = `${reading.memoryUsedMiB}MiB`.padStart(gap ? 11 : 10);
    const total = `${model.memoryTotalMiB}MiB`.padStart(gap ? 9 : 8);
    const use = gpu.migCurrent ? 'N/A' : `${Math.round(reading.load * 100)}%`;
    // A long mode is cut to its cell: E. Process.
    const mode = gpu.computeMode === 'Exclusive_Process' ? 'E. Process' : gpu.computeMode;
    const power = `${watts.slice(gap ? 1 : 0)} / ${limit} `;
    answer.print(
      `| N/A${`${reading.temperatureC}C`.padStart(6)}    P0${power}|${used} / ${total} |${use.padStart(8)}${mode.padStart(13)} |`,
    );
    const mig = model.mig ? (gpu.migCurrent ? 'Enabled' : 'Disabled') : 'N/A';
    const star = gpu.migCurrent === gpu.migPending ? '' : '*';
    answer.print(`|${' '.repeat(41)}|${' '.repeat(layout.memoryCell)}|${`${mig}${star}`.padStart(21)} |`);
    answer.print(`+${cells.join('+')}+`);
  }
}

function printMigDevices(machine: Machine, layout: Layout, gpus: readonly GpuState[], scanned: readonly AttachedProcess[]): void {
  const { answer, driver, model } = machine;
  const table = requireMig(model);
  const memory = layout.migMemoryCell;
  const shared = driver.major >= 580;
  const cells = ['-'.repeat(18), '-'.repeat(memory), '-'.repeat(11), '-'.repeat(23)];
  const title = (text: string): string => `${text.padStart(memory - 1)} `;
  const engines =
    layout === wide ? ['        Shared         ', ' CE ENC  DEC  OFA  JPG '] : ['      Shared           ', ' CE ENC DEC OFA JPG    '];
  answer.print('');
  answer.print(`+${'-'.repeat(layout.width)}+`);
  answer.print(`| MIG devices:${' '.repeat(layout.width - 13)}|`);
  answer.print(`+${cells.join('+')}+`);
  answer.print(`| GPU  GI  CI  MIG |${title(shared ? 'Shared Memory-Usage' : 'Memory-Usage')}|        Vol|${engines[0]}|`);
  answer.print(`|      ID  ID  Dev |${title(shared ? 'Shared BAR1-Usage' : 'BAR1-Usage')}| SM     Unc|${engines[1]}|`);
  answer.print(`|                  |${' '.repeat(memory)}|        ECC|                       |`);
  answer.print(`|${cells.join('+').replaceAll('-', '=')}|`);
  const rows = gpus.flatMap((gpu) => migDevices(gpu).map((device) => ({ gpu, ...device })));
  if (rows.length === 0) {
    answer.print(`|  No MIG devices found${' '.repeat(layout.width - 22)}|`);
    answer.print(`+${'-'.repeat(layout.width)}+`);
  }
  for (const [n, { gpu, index, instance, compute }] of rows.entries()) {
    const profile = requireProfile(table, instance.profileId);
    const previous = rows[n - 1];
    const next = rows[n + 1];
    // Before 580 the figures of an instance stand once, beside its first compute instance.
    const repeats = !shared && previous?.instance.id === instance.id && previous.gpu.uuid === gpu.uuid;
    const ids = `${String(gpu.index).padStart(3)}${String(instance.id).padStart(5)}${String(compute.id).padStart(4)}${String(index).padStart(4)}  `;
    const usage = (used: number, total: number): string =>
      repeats ? ' '.repeat(memory) : `${String(used).padStart(16)}MiB / ${String(total).padStart(5)}MiB`.padEnd(memory);
    const sm = ` ${String(requireComputeProfile(profile, compute.profileId).sm).padEnd(3)}     0 `;
    const counts = [profile.enc, profile.dec, profile.ofa, profile.jpeg];
    const counted = `${String(profile.ce).padStart(3)}${counts.map((count, at) => String(count).padStart(at === 0 ? 4 : 5)).join('')} `;
    const held = instanceMemory(
      machine,
      instance,
      scanned.filter((one) => one.gpu.uuid === gpu.uuid),
    );
    answer.print(`|${ids}|${usage(held, profile.memoryMiB)}|${sm}|${counted}|`);
    answer.print(`|${' '.repeat(18)}|${usage(0, bar1Memory(table, profile))}|${' '.repeat(11)}|${' '.repeat(23)}|`);
    const joined = !shared && next?.instance.id === instance.id && next.gpu.uuid === gpu.uuid;
    answer.print(`+${cells.map((cell, at) => (joined && at === 1 ? cell.replaceAll('-', ' ') : cell)).join('+')}+`);
  }
}

function printProcesses(machine: Machine, layout: Layout, processes: readonly AttachedProcess[]): void {
  const { answer } = machine;
  const rule = `+${'-'.repeat(layout.width)}+`;
  const pid = 'PID'.padStart(layout.pid);
  const name = 'Process name'.padEnd(layout.name);
  answer.print(rule);
  answer.print(`| Processes:${' '.repeat(layout.width - 11)}|`);
  answer.print(`|  GPU   GI   CI ${pid.slice(1)}   Type   ${name}GPU Memory |`);
  answer.print(`|        ID   ID ${' '.repeat(layout.pid - 1)}          ${' '.repeat(layout.name)}Usage      |`);
  answer.print(`|${'='.repeat(layout.width)}|`);
  if (processes.length === 0) answer.print(`|  No running processes found${' '.repeat(layout.width - 28)}|`);
  for (const process of processes) {
    const { device } = process;
    const place = device ? `${String(device.instance.id).padStart(5)}${String(device.compute.id).padStart(5)} ` : '   N/A  N/A';
    const shown = process.name.length > layout.name - 1 ? `...${process.name.slice(4 - layout.name)}` : process.name;
    const used = `${processMemory(machine.model, process)}MiB`.padStart(10);
    const row = `${String(process.gpu.index).padStart(5)}${place}${String(process.pid).padStart(layout.pid - 1)}${process.type.padStart(7)}   `;
    answer.print(`|${row}${shown.padEnd(layout.name)}${used} |`);
  }
  answer.print(rule);
}
