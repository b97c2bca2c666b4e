import { expect, it } from 'vitest';
import { recorded } from './recorded.ts';
import { SimulatedMachine } from './simulated-machine.ts';

/** The n-th `-q` of a capture. */
function captured(file: string, nth: number): string {
  const section = recorded(`captures/${file}`).split(/^# \$ nvidia-smi -q$/m)[nth + 1] ?? '';
  return section.split(/^#{80}$/m)[1] ?? '';
}

/** Labels with their indentation; the slots of MIG devices and processes, and what only one board has, left out. */
function outline(text: string): readonly string[] {
  return text
    .split('\n')
    .map((line) => line.replace(/ +:.*$/, '').trimEnd())
    .filter((line) => line !== '' && !line.startsWith('GPU 0'));
}

for (const [name, order, file] of [
  ['an H100', { model: 'h100-80gb', driverVersion: '590.48.01' }, 'linux-x86_64__nvidia-h100-80gb-hbm3__590.48.01.txt'],
  ['an L40S', { model: 'l40s', driverVersion: '595.80' }, 'linux-x86_64__nvidia-l40s__595.80.txt'],
] as const) {
  it(`-q has the lines of ${name}`, () => {
    using machine = new SimulatedMachine(order);

    expect(outline(machine.run('-q').stdout)).toEqual(outline(captured(file, 0)));
  });
}

it('-q shows slices and processes in the recorded form', () => {
  using machine = new SimulatedMachine({ migEnabled: true });
  machine.run('mig -cgi 9:0,14:4,19:6 -C');
  const [slice = ''] = machine.run('-L').stdout.match(/MIG-[0-9a-f-]{36}/) ?? [];
  using workload = machine.attach({ CUDA_VISIBLE_DEVICES: slice, FAKE_NVIDIA_SMI_MEMORY_MIB: '2296' });
  const block = (text: string): string => (/ {4}MIG Device\n[\s\S]*?(?= {4}MIG Device)/.exec(text)?.[0] ?? '').replace(/: .*/g, '');

  const { code, stdout } = machine.run('-q');

  expect(code).toBe(0);
  expect(block(stdout)).toBe(block(captured('linux-x86_64__nvidia-h100-mig__590.48.01.txt', 1)));
  expect(stdout.match(/^ {4}MIG Device$/gm)).toHaveLength(3);
  const shown = stdout.slice(stdout.indexOf('    Processes\n'), stdout.indexOf('    Capabilities'));
  expect(shown).toContain(`        Process ID                        : ${workload.pid}\n            Type                          : C\n`);
  expect(shown).toContain('            Used GPU Memory               : 2296 MiB\n');
  expect(stdout).toContain('    Remapped Rows                                      : N/A\n');
});

it('-q shows what ails a GPU, as the XML does', () => {
  using machine = new SimulatedMachine({ gpuCount: 2 });
  machine.setHealth({ '1': { remappedRows: { pending: true }, ecc: { corrected: { volatile: { dram: 12 } } } } });

  const [, first = '', second = ''] = machine.run('-q').stdout.split(/^GPU 0/m);

  expect(first).not.toContain('        Pending                                        : Yes');
  expect(second).toContain('        Pending                                        : Yes');
  expect(second).toContain('            DRAM Correctable                           : 12');
});
