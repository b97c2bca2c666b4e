import { describe, expect, it } from 'vitest';
import { rebootMachine } from '../src/create.ts';
import { SimulatedMachine } from './simulated-machine.ts';

describe('the compute policy', () => {
  it('sets a time slice for one GPU, in either spelling, and lists it', () => {
    using machine = new SimulatedMachine({ gpuCount: 2 });
    const [, uuid = ''] = machine.created.gpuUuids;

    expect(machine.run(`compute-policy -i ${uuid} --set-timeslice 2`)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^Successfully set timeslice to medium for GPU [0-9A-F:.]+\n$/),
    });
    expect(machine.run('compute-policy --set-timeslice=1 -i 0').code).toBe(0);
    expect(machine.state().gpus.map((gpu) => gpu.timeslice)).toEqual([1, 2]);
    expect(machine.run('compute-policy -l').stdout).toMatch(/\| {3}0 {5}Timeslice {11}Short.*\n.*\n\| {3}1 {5}Timeslice {11}Medium/);
  });

  it('knows four slices, and none for a GPU that is cut', () => {
    using machine = new SimulatedMachine({ gpuCount: 2 });
    machine.run('-i 1 -mig 1');

    expect(machine.run('compute-policy -i 0 --set-timeslice 4')).toMatchObject({ code: 2, stdout: expect.stringMatching(/^Invalid/) });
    expect(machine.run('compute-policy -i 1 --set-timeslice 1')).toMatchObject({
      code: 3,
      stdout: expect.stringContaining('Not Supported'),
    });
    expect(machine.run('compute-policy').code).toBe(2);
    machine.setFaults({ behaviour: { unprivileged: true } });
    expect(machine.run('compute-policy -i 0 --set-timeslice 1').code).toBe(4);
  });
});

describe('locked clocks', () => {
  it('hold the clocks until they are reset, or the machine is', () => {
    using machine = new SimulatedMachine();
    const clocks = (): string => machine.run('--query-gpu=clocks.sm,clocks.mem,clocks.max.mem --format=csv,noheader,nounits').stdout.trim();

    expect(machine.run('-lgc 1740').stdout).toMatch(
      /^GPU clocks set to "\(gpuClkMin 1740, gpuClkMax 1740\)" for GPU [0-9A-F:.]+\nAll done\.\n$/,
    );
    machine.run('-lmc 1000,1593');
    expect(clocks()).toBe('1740, 1593, 2619');
    expect(machine.run('-q -x').stdout).toContain('<sm_clock>1740 MHz</sm_clock>');
    machine.run('-rgc');
    expect(clocks()).toBe('345, 1593, 2619');
    rebootMachine(machine.created.directory);
    expect(clocks()).toBe('345, 2619, 2619');
    expect(machine.run('-lgc fast').code).toBe(2);
  });
});

it('lists where compute instances may go', () => {
  using machine = new SimulatedMachine({ migEnabled: true });
  machine.run('mig -cgi 9,19');

  const { stdout } = machine.run('mig -lcipp');

  expect(stdout).toContain('GPU  0 GI  2 Profile ID  0 Placements: {0,1,2}:1\n');
  expect(stdout).toMatch(/^GPU {2}0 GI +\d+ Profile ID {2}0 Placement : \{0\}:1$/m);
});
