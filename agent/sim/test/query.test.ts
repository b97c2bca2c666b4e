import { describe, expect, it } from 'vitest';
import type { MachineOrder } from '../src/create.ts';
import { recorded } from './recorded.ts';
import { SimulatedMachine } from './simulated-machine.ts';

const capture = recorded('captures/linux-x86_64__nvidia-h100-mig__590.48.01.txt');
const rows = recorded('derived/query-gpu-fields.tsv')
  .trimEnd()
  .split('\n')
  .slice(1)
  .map((line) => line.split('\t'));

/** The section of a capture file that begins with the given title. */
function section(title: string): string {
  const lines = capture.split('\n');
  const from = lines.indexOf(`# ${title}`) + 3;
  const length = lines.slice(from).findIndex((line) => /^#{80}$/.test(line));
  return `${lines
    .slice(from, from + length)
    .join('\n')
    .trimEnd()}\n`;
}

describe('--query-gpu', () => {
  // The last of the recordings had accounting on and a clock still up.
  const columns: readonly (readonly [string, number, Partial<MachineOrder>, readonly string[]])[] = [
    ['an H100 in slices', 2, { migEnabled: true }, []],
    ['an H100', 3, {}, []],
    ['an L40S', 5, { model: 'l40s', driverVersion: '595.80', persistence: false }, ['accounting.mode', 'clocks_event_reasons.gpu_idle']],
  ];
  for (const [what, column, order, otherwise] of columns) {
    it(`answers every field of ${what} in the recorded form`, () => {
      using machine = new SimulatedMachine(order);
      if (order.migEnabled) machine.run('mig -cgi 9,14,19,19 -C');

      const { code, stdout } = machine.run(`--query-gpu=${rows.map(([name]) => name).join(',')} --format=csv`);

      expect(code).toBe(0);
      const [header = [], values = []] = stdout.split('\n').map((line) => line.split(', '));
      expect(header).toEqual(rows.map((row) => row[1]));
      const form = (text: string | undefined): string => (text ?? '').replace(/[0-9A-F]{2,}|\d+/gi, '9').replace(/9+/g, '9');
      const unlike = rows.flatMap((row, n) => {
        const known = row[column];
        const alike = form(values[n]) === form(known) || known?.startsWith('(field') || otherwise.includes(row[0] ?? '');
        return alike ? [] : [`${row[0]}: ${values[n]}, recorded ${known}`];
      });
      expect(unlike).toEqual([]);
    });
  }

  it('prints units, headers and aliases as asked', () => {
    using machine = new SimulatedMachine();
    const query = '--query-gpu=gpu_name,memory.total,clocks_throttle_reasons.active,power.limit --format=csv';

    expect(machine.run(query).stdout).toBe(
      'gpu_name, memory.total [MiB], clocks_throttle_reasons.active, power.limit [W]\nNVIDIA H100 80GB HBM3, 81559 MiB, 0x0000000000000001, 700.00 W\n',
    );
    expect(machine.run(`${query},noheader,nounits`).stdout).toBe('NVIDIA H100 80GB HBM3, 81559, 0x0000000000000001, 700.00\n');
  });

  it('fails as a whole for one unknown field', () => {
    using machine = new SimulatedMachine();

    expect(machine.run('--query-gpu=index,nonsense --format=csv')).toMatchObject({
      code: 2,
      stdout: 'Field "nonsense" is not a valid field to query.\n',
    });
  });

  it('selects by index, UUID, serial and bus id', () => {
    using machine = new SimulatedMachine({ gpuCount: 3 });
    const { uuid, serial, busId } = machine.state().gpus[1] ?? { uuid: '', serial: '', busId: '' };

    for (const id of ['1', uuid, serial, busId, busId.slice(4).toLowerCase()]) {
      expect(machine.run(`--query-gpu=index --format=csv,noheader -i ${id}`).stdout, id).toBe('1\n');
    }
    expect(machine.run(`--query-gpu=index --format=csv,noheader -i 2,${uuid}`).stdout).toBe('1\n2\n');
    expect(machine.run('-L -i 9')).toMatchObject({ code: 6, stdout: 'No devices were found\n' });
  });
});

describe('bad command lines', () => {
  const complaints: Readonly<Record<string, string>> = {
    '-lms100': "ERROR: Option -lms100 is not recognized. Please run 'nvidia-smi -h' for help.\n",
    '-mig': "ERROR: Option -mig is missing its value. Please run 'nvidia-smi -h' for help.\n",
    '--query-gpu=index': '"--format=" switch is missing. Please run \'nvidia-smi -h\' for help\n',
    '--query-gpu=index --query-compute-apps=pid --format=csv': 'Only one --query-* switch can be used at a time.\n',
    '-x': "Invalid combination of input arguments. Please run 'nvidia-smi -h' for help.\n",
  };
  for (const [command, stdout] of Object.entries(complaints)) {
    it(`are refused: ${command}`, () => {
      using machine = new SimulatedMachine();

      expect(machine.run(command)).toEqual({ code: 2, signal: null, stdout, stderr: '' });
    });
  }
});

describe('help and versions', () => {
  it('print the recorded texts', () => {
    using machine = new SimulatedMachine();

    expect(machine.run('-h').stdout).toBe(section('capabilities :: help (-h)'));
    expect(machine.run('--help-query-gpu').stdout).toBe(section('capabilities :: help-query-gpu'));
    expect(machine.run('--help-query-compute-apps').stdout).toBe(section('capabilities :: help-query-compute-apps'));
    expect(machine.run('--version').stdout).toBe(section('capabilities :: version'));
  });

  it('use the new words from 610 on', () => {
    using machine = new SimulatedMachine({ driverVersion: '610.57.04' });
    const text = recorded('captures/linux-x86_64__nvidia-geforce-rtx-2080-super__610.57.04.txt');

    expect(text).toContain(machine.run('--version').stdout);
    expect(text).toContain(machine.run('').stdout.split('\n')[2]);
  });
});
