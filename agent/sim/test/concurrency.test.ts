import { describe, expect, it } from 'vitest';
import type { MachineState } from '../src/create.ts';
import { SimulatedMachine } from './simulated-machine.ts';

const sizes: Readonly<Record<number, number>> = { 19: 1, 20: 1, 15: 2, 14: 2, 9: 4, 5: 4, 0: 8 };

function expectSound(state: MachineState): void {
  for (const gpu of state.gpus) {
    const taken = gpu.instances.flatMap(({ start, profileId }) => Array.from({ length: sizes[profileId] ?? 0 }, (_, n) => start + n));
    expect(new Set(taken).size, 'no unit is given twice').toBe(taken.length);
    expect(new Set(gpu.instances.map(({ id }) => id)).size).toBe(gpu.instances.length);
  }
}

describe('calls in parallel', () => {
  it('never overlap: of twenty asking for a slice of one GPU, seven get one', async () => {
    using machine = new SimulatedMachine({ migEnabled: true });

    const results = await Promise.all(Array.from({ length: 20 }, () => machine.start('mig -cgi 19 -C').ended));

    expect(results.filter(({ code }) => code === 0)).toHaveLength(7);
    expect(results.filter(({ code }) => code === 23)).toHaveLength(13);
    expectSound(machine.state());
    expect(machine.run('-L').stdout.match(/MIG 1g/g)).toHaveLength(7);
  }, 30_000);

  it('survive SIGKILL at any moment', async () => {
    using machine = new SimulatedMachine({ gpuCount: 2, migEnabled: true });
    for (let round = 0; round < 12; round += 1) {
      const calls = ['mig -cgi 19,14,19 -C', 'mig -dci', 'mig -dgi', 'mig -cgi 9,19'].map((command) => machine.start(command));
      await new Promise((resolve) => setTimeout(resolve, 15 + round * 6));
      for (const call of calls) call.kill('SIGKILL');
      await Promise.all(calls.map(({ ended }) => ended));
      expectSound(machine.state());
    }
    machine.run('mig -dci');
    machine.run('mig -dgi');
    expect(machine.run('mig -i 0 -cgi 0 -C').code).toBe(0);
  }, 60_000);
});
