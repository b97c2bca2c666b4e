import { dataTable } from './data-text.ts';
import { healthField, healthOf } from './health.ts';
import { type Machine, Refusal } from './machine.ts';
import type { GpuState } from './machine-state.ts';
import { repairField } from './memory-repair.ts';
import { csvTime } from './printed-time.ts';
import { visibleGpus } from './selected-gpus.ts';
import { type Reading, readSensors, scanProcesses } from './telemetry.ts';

/** A row of `data/query-gpu-fields.json`: name, unit, recorded value on an HBM and on a GDDR board, other names. */
type FieldRow = readonly [string, string, string, string, ...string[]];

export interface CsvFormat {
  readonly header: boolean;
  readonly units: boolean;
}

const na = '[N/A]';
const deprecated = '[Requested functionality has been deprecated]';

/** `--query-gpu=…`. One unknown field fails the whole query. Returns the exit code. */
export function queryGpu(machine: Machine, names: string, format: CsvFormat, ids: string | undefined): number {
  const fields = findFields(
    machine,
    names.split(',').map((name) => name.trim()),
  );
  const visible = visibleGpus(machine, ids);
  const now = new Date();
  const needsProcesses = fields.some(({ row }) => /^(memory\.|utilization|temperature|power\.draw|clocks|pstate)/.test(row[0]));
  const processes = needsProcesses ? scanProcesses(machine) : [];
  if (format.header) {
    machine.answer.print(fields.map(({ asked, row }) => (row[1] ? `${asked} [${row[1]}]` : asked)).join(', '));
  }
  for (const gpu of visible.gpus) {
    const reading = readSensors(machine, gpu, processes, now.getTime());
    const texts = healthOf(machine.health, gpu).fields;
    const values = fields.map(
      ({ asked, row }) => texts?.[asked] ?? texts?.[row[0]] ?? printValue(row, fieldValue(machine, gpu, reading, row, now), format),
    );
    machine.answer.print(values.join(', '));
  }
  if (visible.lostLine !== undefined) machine.answer.print(visible.lostLine);
  return visible.exitCode;
}

function findFields(machine: Machine, asked: readonly string[]): readonly { asked: string; row: FieldRow }[] {
  const rows = dataTable(machine, 'query-gpu-fields.json') as readonly FieldRow[];
  const byName = new Map(rows.flatMap((row) => [row[0], ...row.slice(4)].map((name) => [name, row] as const)));
  return asked.map((name) => {
    const row = machine.faults.behaviour?.unknownFields?.includes(name) ? undefined : byName.get(name);
    if (!row) throw new Refusal(2, `Field "${name}" is not a valid field to query.`);
    return { asked: name, row };
  });
}

function printValue(row: FieldRow, value: string | number, format: CsvFormat): string {
  const text = String(value);
  const measured = /^-?\d+(\.\d+)?$/.test(text);
  const unit = row[1];
  if (!unit) return text;
  if (measured) return format.units ? `${text} ${unit}` : text;
  return format.units ? text : text.replace(new RegExp(`^(-?[\\d.]+) ${unit}$`), '$1');
}

/** Values with a life of their own; all others print what was recorded. */
function fieldValue(machine: Machine, gpu: GpuState, reading: Reading, row: FieldRow, now: Date): string | number {
  const { model, driver } = machine;
  const watts = (value: number): string => value.toFixed(2);
  const name = row[0];
  const health = healthOf(machine.health, gpu);
  const ails = repairField(model, gpu, health, name) ?? (row[2] === na ? undefined : healthField(health, name, reading.busy));
  if (ails !== undefined) return ails;
  switch (name) {
    case 'timestamp':
      return csvTime(now);
    case 'driver_version':
    case 'kmd_version':
      return driver.version;
    case 'count':
      return machine.state.gpus.length;
    case 'name':
      return model.productName;
    case 'serial':
      return gpu.serial;
    case 'uuid':
      return gpu.uuid;
    case 'index':
      return gpu.index;
    case 'pci.bus_id':
      return gpu.busId;
    case 'pci.domain':
      return `0x${gpu.busId.slice(4, 8)}`;
    case 'pci.bus':
      return `0x${gpu.busId.slice(9, 11)}`;
    case 'pci.device':
      return `0x${gpu.busId.slice(12, 14)}`;
    case 'pci.device_id':
      return model.pciDeviceId;
    case 'pci.sub_device_id':
      return model.pciSubSystemId;
    case 'pcie.link.gen.current':
    case 'pcie.link.gen.gpucurrent':
    case 'pcie.link.gen.max':
    case 'pcie.link.gen.gpumax':
      return model.pcieGeneration;
    case 'persistence_mode':
      return gpu.persistence ? 'Enabled' : 'Disabled';
    case 'addressing_mode':
      return model.addressingMode;
    case 'accounting.mode':
      return 'Disabled';
    case 'vbios_version':
      return model.vbiosVersion;
    case 'inforom.img':
      return model.inforomImage;
    case 'inforom.oem':
      return model.inforomOem;
    case 'inforom.ecc':
      return model.inforomEcc;
    case 'compute_mode':
      return gpu.computeMode;
    case 'compute_cap':
      return model.computeCapability;
    case 'memory.total':
      return model.memoryTotalMiB;
    case 'memory.reserved':
      return model.memoryReservedMiB;
    case 'memory.used':
      return reading.memoryUsedMiB;
    case 'memory.free':
      return reading.memoryFreeMiB;
    case 'utilization.gpu':
      return gpu.migCurrent ? na : Math.round(reading.load * 100);
    case 'utilization.memory':
      return gpu.migCurrent ? na : Math.round(reading.load * 11);
    case 'utilization.encoder':
    case 'utilization.decoder':
    case 'utilization.jpeg':
    case 'utilization.ofa':
      return gpu.migCurrent ? na : 0;
    case 'temperature.gpu':
      return reading.temperatureC;
    case 'temperature.gpu.tlimit':
      return model.reportsThermalMargin ? reading.thermalMarginC : na;
    case 'temperature.memory':
      return model.reportsMemoryTemperature ? reading.memoryTemperatureC : 'N/A';
    case 'power.draw':
      return watts(reading.powerWatts);
    case 'power.draw.average':
      return model.reportsThermalMargin ? watts(reading.powerWatts) : na;
    case 'power.draw.instant':
      return watts(reading.powerInstantWatts);
    case 'power.limit':
    case 'enforced.power.limit':
      return watts(gpu.powerLimitWatts);
    case 'power.default_limit':
    case 'power.max_limit':
      return watts(model.powerLimitWatts);
    case 'power.min_limit':
      return watts(model.powerMinWatts);
    case 'edpp_multiplier':
      return model.edppMultiplier ?? na;
    case 'clocks.current.graphics':
    case 'clocks.current.sm':
      return reading.graphicsClockMhz;
    case 'clocks.current.memory':
      return reading.memoryClockMhz;
    case 'clocks.current.video':
      return reading.videoClockMhz;
    case 'clocks.applications.graphics':
    case 'clocks.default_applications.graphics':
      return driver.major >= 590 ? deprecated : model.graphicsClockMaxMhz;
    case 'clocks.applications.memory':
    case 'clocks.default_applications.memory':
      return driver.major >= 590 ? deprecated : (model.memoryClocksMhz[0] ?? na);
    case 'clocks.max.graphics':
    case 'clocks.max.sm':
      return model.graphicsClockMaxMhz;
    case 'clocks.max.memory':
      return model.memoryClocksMhz[0] ?? na;
    case 'display_mode':
      return driver.major >= 580 ? deprecated : 'Enabled';
    case 'mig.mode.current':
      return model.mig ? enabled(gpu.migCurrent) : na;
    case 'mig.mode.pending':
      return model.mig ? enabled(gpu.migPending) : na;
    case 'c2c.mode':
      return model.c2cMode ?? na;
    case 'platform.module_id':
      return model.onModuleBoard ? gpu.index + 1 : 1;
    default:
      return name.startsWith('fabric.') ? row[model.inFabric ? 2 : 3] : row[2];
  }
}

function enabled(on: boolean): string {
  return on ? 'Enabled' : 'Disabled';
}
