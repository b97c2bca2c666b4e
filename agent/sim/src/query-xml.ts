import type { AttachedProcess } from './attached-processes.ts';
import { dataText } from './data-text.ts';
import { type GpuModel, requireComputeProfile, requireProfile } from './gpu-model.ts';
import { type GpuHealth, healthOf, healthValues } from './health.ts';
import type { Machine } from './machine.ts';
import { type GpuState, migDevices } from './machine-state.ts';
import { longTime } from './printed-time.ts';
import { visibleGpus } from './selected-gpus.ts';
import {
  bar1Memory,
  freeMemory,
  instanceMemory,
  processMemory,
  type Reading,
  readSensors,
  requireMig,
  scanProcesses,
} from './telemetry.ts';
import { cudaVersion } from './versions.ts';

const worn = ['high', 'partial', 'low', 'none'] as const;
const deprecated = 'Requested functionality has been deprecated';

/**
 * `-q -x`. The skeleton is `data/query-xml.txt`: a line may begin with the
 * driver branches that print it (`580..`, `..569`) and the boards (`R` remap rows,
 * `P` retire pages), and `$name` is filled in.
 */
export function queryXml(machine: Machine, ids: string | undefined): number {
  const { answer, driver } = machine;
  const visible = visibleGpus(machine, ids);
  const now = new Date();
  const processes = scanProcesses(machine);
  const skeleton = linesFor(dataText(machine, 'query-xml.txt'), driver.major, machine.model.rowRemapBanks === null ? 'P' : 'R');
  answer.print('<?xml version="1.0" ?>');
  answer.print(`<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v${dtdVersion(driver.major)}.dtd">`);
  answer.print('<nvidia_smi_log>');
  answer.print(`\t<timestamp>${longTime(now)}</timestamp>`);
  answer.print(`\t<driver_version>${driver.version}</driver_version>`);
  answer.print(`\t<cuda_version>${cudaVersion(driver.major)}</cuda_version>`);
  answer.print(`\t<attached_gpus>${machine.state.gpus.length}</attached_gpus>`);
  for (const gpu of visible.gpus) {
    const values = valuesOf(machine, gpu, readSensors(machine, gpu, processes, now.getTime()));
    const texts = Object.entries(healthOf(machine.health, gpu).elements ?? {});
    for (const line of skeleton) answer.printRaw(withTexts(fill(line, values), texts));
    answer.print('');
  }
  answer.print('</nvidia_smi_log>');
  if (visible.lostLine !== undefined) answer.print(visible.lostLine);
  return visible.exitCode;
}

/** Elements that say what `health.json` makes them say. */
function withTexts(lines: string, texts: readonly (readonly [string, string])[]): string {
  return texts.reduce(
    (text, [tag, value]) =>
      text.replace(new RegExp(`(<${tag}>).*(</${tag}>)`, 'g'), (_, open: string, close: string) => `${open}${value}${close}`),
    lines,
  );
}

function dtdVersion(driverMajor: number): number {
  return driverMajor >= 580 ? 13 : driverMajor >= 525 ? 12 : 11;
}

function linesFor(skeleton: string, driverMajor: number, board: 'R' | 'P'): readonly string[] {
  return skeleton.split('\n').flatMap((line) => {
    const match = /^(\d*)\.\.(\d*)([RP]?)(\t.*)$/.exec(line);
    if (!match) return line === '' ? [] : [line];
    const [, from, to, boards, text = ''] = match;
    if (boards && boards !== board) return [];
    return driverMajor >= Number(from || 0) && driverMajor <= Number(to || Number.POSITIVE_INFINITY) ? [text] : [];
  });
}

/** A line that is nothing but one name stands for a block of lines, or none. */
function fill(line: string, values: Readonly<Record<string, string | number>>): string {
  const value = (name: string): string => {
    const found = values[name];
    if (found === undefined) throw new Error(`query-xml.txt names $${name}, which nobody fills in`);
    return String(found);
  };
  if (line.startsWith('$')) {
    const block = value(line.slice(1));
    return block === '' ? '' : `${block}\n`;
  }
  return `${line.replace(/\$(\w+)/g, (_, name: string) => value(name))}\n`;
}

function valuesOf(machine: Machine, gpu: GpuState, reading: Reading): Readonly<Record<string, string | number>> {
  const { model, driver } = machine;
  const watts = (value: number): string => value.toFixed(2);
  const utilisation = (percent: number): string => (gpu.migCurrent ? 'N/A' : `${Math.round(percent)} %`);
  const retires = model.rowRemapBanks === null;
  const health = healthOf(machine.health, gpu);
  return {
    ...healthValues(health, reading.busy),
    deprecated,
    driverVersion: driver.version,
    index: gpu.index,
    busId: gpu.busId,
    uuid: gpu.uuid,
    serial: gpu.serial,
    pdi: gpu.pdi,
    productName: model.productName,
    architecture: model.architecture,
    persistence: gpu.persistence ? 'Enabled' : 'Disabled',
    addressingMode: model.addressingMode,
    migCurrent: modeText(model, gpu.migCurrent),
    migPending: modeText(model, gpu.migPending),
    migDevices: migDeviceBlock(machine, gpu, reading.processes),
    vbiosVersion: model.vbiosVersion,
    boardId: `0x${Number.parseInt(gpu.busId.slice(9, 11) + gpu.busId.slice(12, 14), 16).toString(16)}`,
    boardPartNumber: model.boardPartNumber,
    gpuPartNumber: model.gpuPartNumber,
    moduleId: model.onModuleBoard ? gpu.index + 1 : 1,
    inforomImage: model.inforomImage,
    inforomOem: model.inforomOem,
    inforomEcc: model.inforomEcc,
    c2cMode: model.c2cMode ?? 'N/A',
    pciBus: gpu.busId.slice(9, 11),
    pciDevice: gpu.busId.slice(12, 14),
    pciDomain: gpu.busId.slice(4, 8),
    pciDeviceId: model.pciDeviceId.slice(2),
    pciSubSystemId: model.pciSubSystemId.slice(2),
    pcieGeneration: model.pcieGeneration,
    pcieGenerationNow: health.pcie?.generation ?? model.pcieGeneration,
    pcieWidth: `${health.pcie?.width ?? 16}x`,
    txUtil: Math.round(350 + reading.load * 90_000),
    rxUtil: Math.round(300 + reading.load * 120_000),
    sparseMode: model.inFabric ? 'Disabled' : 'N/A',
    memoryTotal: model.memoryTotalMiB,
    memoryReserved: model.memoryReservedMiB,
    memoryUsed: reading.memoryUsedMiB,
    memoryFree: reading.memoryFreeMiB,
    bar1Total: model.bar1TotalMiB,
    bar1Free: model.bar1TotalMiB - 1,
    computeMode: gpu.computeMode,
    gpuUtil: utilisation(reading.load * 100),
    memoryUtil: utilisation(reading.load * 11),
    otherUtil: utilisation(0),
    unrepairable: model.reportsMemoryTemperature ? 'No' : 'N/A',
    retiredSingle: retiredBlock(retires ? (health.retiredPages?.singleBit ?? 0) : undefined),
    retiredDouble: retiredBlock(retires ? (health.retiredPages?.doubleBit ?? 0) : undefined),
    pagesPending: retires ? (health.retiredPages?.pending ? 'Yes' : 'No') : 'N/A',
    remappedRows: remappedRowsBlock(model, gpu, driver.major, health),
    temperature: reading.temperatureC,
    thermalMargin: model.reportsThermalMargin ? `${reading.thermalMarginC} C` : 'N/A',
    temperatureLimits: temperatureLimitBlock(model),
    memoryTemperature: model.reportsMemoryTemperature ? `${reading.memoryTemperatureC} C` : 'N/A',
    memoryTemperatureLimit: memoryLimitLine(model),
    power: watts(reading.powerWatts),
    powerAverage: model.reportsThermalMargin ? `${watts(reading.powerWatts)} W` : 'N/A',
    powerInstant: watts(reading.powerInstantWatts),
    powerLimit: watts(gpu.powerLimitWatts),
    powerDefault: watts(model.powerLimitWatts),
    powerMin: watts(model.powerMinWatts),
    memoryPower: model.inFabric ? `${watts(33 + 60 * reading.load)} W` : 'N/A',
    edpp: model.edppMultiplier ?? 'N/A',
    graphicsClock: reading.graphicsClockMhz,
    memoryClock: reading.memoryClockMhz,
    videoClock: reading.videoClockMhz,
    memoryClockMax: model.memoryClocksMhz[0] ?? 0,
    graphicsClockMax: model.graphicsClockMaxMhz,
    videoClockMax: model.videoClockMaxMhz,
    fabricState: health.fabric?.state ?? (model.inFabric ? 'Completed' : 'N/A'),
    fabricStatus: health.fabric?.status ?? (model.inFabric ? 'Success' : 'N/A'),
    fabricSummary: health.fabric?.summary ?? 'N/A',
    fabricClique: model.inFabric ? '0' : 'N/A',
    fabricCluster: model.inFabric ? '00000000-0000-0000-0000-000000000000' : 'N/A',
    supportedClocks: supportedClockBlock(model),
    processes: processBlock(model, reading.processes),
  };
}

function modeText(model: GpuModel, on: boolean): string {
  if (!model.mig) return 'N/A';
  return on ? 'Enabled' : 'Disabled';
}

/** No UUID and no profile name in here; memory is that of the GPU instance, repeated for each compute instance. */
function migDeviceBlock(machine: Machine, gpu: GpuState, processes: readonly AttachedProcess[]): string {
  const devices = gpu.migCurrent ? migDevices(gpu) : [];
  if (devices.length === 0) return '\t\t\tNone';
  const table = requireMig(machine.model);
  return devices
    .map(({ index, instance, compute }) => {
      const profile = requireProfile(table, instance.profileId);
      const used = instanceMemory(machine, instance, processes);
      const bar1 = bar1Memory(table, profile);
      return `\t\t\t<mig_device>
				<index>${index}</index>
				<gpu_instance_id>${instance.id}</gpu_instance_id>
				<compute_instance_id>${compute.id}</compute_instance_id>
				<device_attributes>
					<shared>
						<multiprocessor_count>${requireComputeProfile(profile, compute.profileId).sm}</multiprocessor_count>
						<copy_engine_count>${profile.ce}</copy_engine_count>
						<encoder_count>${profile.enc}</encoder_count>
						<decoder_count>${profile.dec}</decoder_count>
						<ofa_count>${profile.ofa}</ofa_count>
						<jpg_count>${profile.jpeg}</jpg_count>
					</shared>
				</device_attributes>
				<ecc_error_count>
					<volatile_count>
						<sram_uncorrectable>0</sram_uncorrectable>
					</volatile_count>
				</ecc_error_count>
				<fb_memory_usage>
					<total>${profile.memoryMiB} MiB</total>
					<reserved>0 MiB</reserved>
					<used>${used} MiB</used>
					<free>${freeMemory(profile.memoryMiB, used)} MiB</free>
				</fb_memory_usage>
				<bar1_memory_usage>
					<total>${bar1} MiB</total>
					<used>0 MiB</used>
					<free>${bar1} MiB</free>
				</bar1_memory_usage>
			</mig_device>`;
    })
    .join('\n');
}

function processBlock(model: GpuModel, processes: readonly AttachedProcess[]): string {
  return processes
    .map(
      (process) => `\t\t\t<process_info>
				<gpu_instance_id>${process.device?.instance.id ?? 'N/A'}</gpu_instance_id>
				<compute_instance_id>${process.device?.compute.id ?? 'N/A'}</compute_instance_id>
				<pid>${process.pid}</pid>
				<type>${process.type}</type>
				<process_name>${escapeXml(process.name)}</process_name>
				<used_memory>${processMemory(model, process)} MiB</used_memory>
			</process_info>`,
    )
    .join('\n');
}

/** Nothing where the board remaps rows. The addresses are made up. */
function retiredBlock(count: number | undefined): string {
  if (count === undefined) return '\t\t\t\t<retired_count>N/A</retired_count>\n\t\t\t\t<retired_pagelist>N/A</retired_pagelist>';
  const pages = Array.from(
    { length: count },
    (_, n) => `\t\t\t\t\t<retired_page_address>0x${(0x4a3f0 + n).toString(16).padStart(16, '0')}</retired_page_address>`,
  );
  return [`\t\t\t\t<retired_count>${count}</retired_count>`, '\t\t\t\t<retired_pagelist>', ...pages, '\t\t\t\t</retired_pagelist>'].join(
    '\n',
  );
}

function remappedRowsBlock(model: GpuModel, gpu: GpuState, driverMajor: number, { remappedRows }: GpuHealth): string {
  if (model.rowRemapBanks === null || gpu.migCurrent) return '\t\t<remapped_rows>N/A</remapped_rows>';
  const bank = (name: string, count: number): string =>
    `\t\t\t\t<row_remapper_histogram_${name}>${count} bank(s)</row_remapper_histogram_${name}>`;
  const inactive = (name: string): readonly string[] =>
    driverMajor >= 595 ? [`\t\t\t<remapped_row_${name}_inactive>0</remapped_row_${name}_inactive>`] : [];
  return [
    '\t\t<remapped_rows>',
    `\t\t\t<remapped_row_corr>${remappedRows?.correctable ?? 0}</remapped_row_corr>`,
    ...inactive('corr'),
    `\t\t\t<remapped_row_unc>${remappedRows?.uncorrectable ?? 0}</remapped_row_unc>`,
    ...inactive('unc'),
    `\t\t\t<remapped_row_pending>${remappedRows?.pending ? 'Yes' : 'No'}</remapped_row_pending>`,
    `\t\t\t<remapped_row_failure>${remappedRows?.failure ? 'Yes' : 'No'}</remapped_row_failure>`,
    '\t\t\t<row_remapper_histogram>',
    bank('max', model.rowRemapBanks - worn.reduce((sum, name) => sum + (remappedRows?.histogram?.[name] ?? 0), 0)),
    ...worn.map((name) => bank(name, remappedRows?.histogram?.[name] ?? 0)),
    '\t\t\t</row_remapper_histogram>',
    '\t\t</remapped_rows>',
  ].join('\n');
}

function temperatureLimitBlock(model: GpuModel): string {
  const [word, limits] = model.reportsThermalMargin ? ['_tlimit_threshold', [-8, -2, 0]] : ['_threshold', [92, 89, 85]];
  return ['max', 'slow', 'max_gpu'].map((name, n) => `\t\t\t<gpu_temp_${name}${word}>${limits[n]} C</gpu_temp_${name}${word}>`).join('\n');
}

function memoryLimitLine(model: GpuModel): string {
  const tag = model.reportsThermalMargin ? 'gpu_temp_max_mem_tlimit_threshold' : 'gpu_temp_max_mem_threshold';
  const limit = model.reportsThermalMargin ? '0 C' : '95 C';
  return `\t\t\t<${tag}>${model.reportsMemoryTemperature ? limit : 'N/A'}</${tag}>`;
}

/** Long on purpose: this list is most of what a real machine prints. */
function supportedClockBlock(model: GpuModel): string {
  const steps: string[] = [];
  for (let mhz = model.graphicsClockMaxMhz; mhz >= model.graphicsClockIdleMhz; mhz -= 15) {
    steps.push(`\t\t\t\t<supported_graphics_clock>${mhz} MHz</supported_graphics_clock>`);
  }
  return model.memoryClocksMhz
    .map((mhz) => ['\t\t\t<supported_mem_clock>', `\t\t\t\t<value>${mhz} MHz</value>`, ...steps, '\t\t\t</supported_mem_clock>'].join('\n'))
    .join('\n');
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
