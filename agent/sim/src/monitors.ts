import { parseCommandLine } from './command-line.ts';
import { type Machine, Refusal } from './machine.ts';
import { pause } from './pause.ts';
import { visibleGpus } from './selected-gpus.ts';
import { readSensors, scanProcesses } from './telemetry.ts';

const headers = {
  dmon: [
    '# gpu    pwr  gtemp  mtemp     sm    mem    enc    dec    jpg    ofa   mclk   pclk ',
    '# Idx      W      C      C      %      %      %      %      %      %    MHz    MHz ',
  ],
  pmon: [
    '# gpu         pid   type     sm    mem    enc    dec    jpg    ofa    command ',
    '# Idx           #    C/G      %      %      %      %      %      %    name ',
  ],
} as const;

/** `dmon` and `pmon` with `-c count` and `-d seconds`; a GPU in MIG mode shows `-` for its engines. */
export function runMonitor(machine: Machine, kind: 'dmon' | 'pmon', args: readonly string[]): number {
  const grammar = { flags: {}, values: { '-i': 'id', '-c': 'count', '-d': 'delay' }, optional: [] };
  const { values } = parseCommandLine(args, grammar);
  const count = Number(values.get('count') ?? Number.POSITIVE_INFINITY);
  const delay = Number(values.get('delay') ?? '1');
  if (!(count > 0) || !(delay > 0)) throw new Refusal(2, "Invalid argument. Please run 'nvidia-smi -h' for help.");
  for (const line of headers[kind]) machine.answer.print(line);
  for (let round = 0; round < count; round += 1) {
    if (round > 0) pause(delay * 1000);
    if (kind === 'dmon') printDevices(machine, values.get('id'));
    else printProcesses(machine, values.get('id'));
    machine.answer.flush((text) => text, 1);
  }
  return 0;
}

function printDevices(machine: Machine, ids: string | undefined): void {
  const scanned = scanProcesses(machine);
  for (const gpu of visibleGpus(machine, ids).gpus) {
    const reading = readSensors(machine, gpu, scanned, Date.now());
    const engine = (percent: number): string | number => (gpu.migCurrent ? '-' : Math.round(percent));
    const memory = machine.model.reportsMemoryTemperature ? reading.memoryTemperatureC : '-';
    const cells = [Math.floor(reading.powerWatts), reading.temperatureC, memory, engine(reading.load * 100), engine(reading.load * 11)];
    const rest = [engine(0), engine(0), engine(0), engine(0), reading.memoryClockMhz, reading.graphicsClockMhz];
    machine.answer.print(`${String(gpu.index).padStart(5)}${[...cells, ...rest].map((cell) => String(cell).padStart(7)).join('')} `);
  }
}

function printProcesses(machine: Machine, ids: string | undefined): void {
  const scanned = scanProcesses(machine);
  for (const gpu of visibleGpus(machine, ids).gpus) {
    const here = scanned.filter((one) => one.gpu.uuid === gpu.uuid);
    const row = (pid: string, type: string, busy: string, memory: string, name: string): string => {
      const cells = [busy, memory, '-', '-', '-', '-'].map((cell) => cell.padStart(7)).join('');
      return `${String(gpu.index).padStart(5)}${pid.padStart(11)}${type.padStart(6)}${cells}    ${name.padEnd(15)}`;
    };
    if (here.length === 0) machine.answer.print(row('-', '-', '-', '-', '-'));
    for (const one of here) {
      const busy = gpu.migCurrent ? '-' : String(Math.round(readSensors(machine, gpu, [one], Date.now()).load * 100));
      const name = one.name.slice(one.name.lastIndexOf('/') + 1).slice(0, 15);
      machine.answer.print(row(String(one.pid), one.type, busy, gpu.migCurrent ? '-' : '10', name));
    }
  }
}
