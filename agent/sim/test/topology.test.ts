import { describe, expect, it } from 'vitest';
import { recorded } from './recorded.ts';
import { SimulatedMachine } from './simulated-machine.ts';

/** The cells of the table by its rows, blanks around them dropped; without the heading. */
function cells(machine: SimulatedMachine): readonly (readonly string[])[] {
  const [, ...rows] = machine.run('topo -m').stdout.split('\n\n')[0]?.split('\n') ?? [];
  return rows.map((row) => row.split('\t').map((cell) => cell.trim()));
}

describe('topo -m', () => {
  it.each([
    ['h100-80gb', 'linux-x86_64__nvidia-h100-80gb-hbm3__590.48.01', false],
    ['h100-80gb', 'linux-x86_64__nvidia-h100-mig__590.48.01', true],
    ['h200-141gb', 'linux-x86_64__nvidia-h200__590.48.01', false],
    ['l40s', 'linux-x86_64__nvidia-l40s__595.80', false],
  ])('of one %s is that of %s, but for its CPUs', (model, capture, migEnabled) => {
    using machine = new SimulatedMachine({ model, migEnabled });
    const text = recorded(`captures/${capture}.txt`);
    const from = text.indexOf('\t', text.indexOf('# $ nvidia-smi topo -m'));
    const printed = text.slice(from, text.indexOf('####', from)).trimEnd();
    expect(machine.run('topo -m')).toMatchObject({ code: 0, stderr: '' });
    expect(machine.run('topo -m').stdout.trimEnd()).toBe(printed.replace(/\t0-\d+\t/, '\t0-23\t'));
  });

  it('of eight H100 on a board links all, on two sockets', () => {
    using machine = new SimulatedMachine({ gpuCount: 8, topology: { nics: 2 } });
    const table = cells(machine);
    expect(table.map(([name]) => name)).toEqual([...Array.from({ length: 8 }, (_, at) => `GPU${at}`), 'NIC0', 'NIC1']);
    for (const [at, row] of table.slice(0, 8).entries()) {
      expect(row.slice(1, 9)).toEqual(Array.from({ length: 8 }, (_, to) => (to === at ? 'X' : 'NV18')));
      expect(row.slice(11)).toEqual([at < 4 ? '0-23,48-71' : '24-47,72-95', at < 4 ? '0' : '1', '', 'N/A']);
    }
    expect(machine.run('topo -m').stdout).toContain('NIC Legend:\n\n  NIC0: mlx5_0\n  NIC1: mlx5_1\n');
  });

  it('of boards with a bridge links pairs, and of others none', () => {
    using pairs = new SimulatedMachine({ model: 'h100-nvl-94gb', gpuCount: 4 });
    expect(cells(pairs).map((row) => row.slice(1, 5))).toEqual([
      ['X', 'NV12', 'SYS', 'SYS'],
      ['NV12', 'X', 'SYS', 'SYS'],
      ['SYS', 'SYS', 'X', 'NV12'],
      ['SYS', 'SYS', 'NV12', 'X'],
    ]);
    using none = new SimulatedMachine({ model: 'l40s', gpuCount: 2 });
    expect(cells(none).map((row) => row.slice(1, 3))).toEqual([
      ['X', 'PHB'],
      ['PHB', 'X'],
    ]);
  });

  it('hides the links of a GPU in MIG mode, unless told otherwise', () => {
    using machine = new SimulatedMachine({ gpuCount: 3 });
    machine.run('-i 1 -mig 1');
    expect(cells(machine).map((row) => row.slice(1, 4).join(' '))).toEqual(['X PHB NV18', 'PHB X PHB', 'NV18 PHB X']);
    machine.setFaults({ behaviour: { nvlinkInMigMode: 'listed' } });
    expect(cells(machine)[0]?.slice(1, 4)).toEqual(['X', 'NV18', 'NV18']);
  });

  it.each([
    ['not-available', undefined, ['0-23', 'N/A', '', 'N/A']],
    ['range', undefined, ['0-23', '0-1', '', 'N/A']],
    ['blank', undefined, ['', '', '', 'N/A']],
    ['known', 2, ['0-23', '', '0']],
    ['known', 1, ['0-23']],
  ] as const)('says of NUMA what it is told to: %s, %s', (numaAffinity, affinityColumns, expected) => {
    using machine = new SimulatedMachine();
    machine.setFaults({ behaviour: { numaAffinity, ...(affinityColumns === undefined ? {} : { affinityColumns }) } });
    expect(cells(machine)[0]?.slice(2)).toEqual(expected);
  });

  it('takes no GPU, and needs -m', () => {
    using machine = new SimulatedMachine();
    expect(machine.run('topo -m -i 0').stdout).toContain('must be used in conjunction with -n or -p');
    expect(machine.run('topo').code).toBe(2);
  });
});
