import { describe, expect, it } from 'vitest';
import { rebootMachine } from '../src/create.ts';
import { answerTo, comparable, recorded } from './recorded.ts';
import { SimulatedMachine } from './simulated-machine.ts';

const modes = (machine: SimulatedMachine): string =>
  machine.run('--query-gpu=mig.mode.current,mig.mode.pending --format=csv,noheader').stdout.trim();

describe('turning MIG on', () => {
  it('works at once on an idle GPU and warns when persistence is off', () => {
    using machine = new SimulatedMachine({ model: 'gh200-96gb', persistence: false });
    const transcript = recorded('transcripts/gh200-96gb-mig-enable-lgip-cgi-errors.txt');

    expect(comparable(machine.run('-mig 1').stdout)).toBe(answerTo(transcript, '-mig 1'));
    expect(modes(machine)).toBe('Enabled, Enabled');
  });

  for (const model of ['a100-40gb', 'h100-80gb']) {
    it(`stays pending on a held ${model}, exit code 0, until a reset finds it free`, () => {
      using machine = new SimulatedMachine({ model });
      const [uuid = ''] = machine.created.gpuUuids;
      {
        using _workload = machine.attach({ CUDA_VISIBLE_DEVICES: uuid });

        const { code, stdout } = machine.run('-mig 1');

        expect(code).toBe(0);
        expect(stdout).toMatch(
          /^Warning: MIG mode is in pending enable state for GPU [0-9A-F:.]+:In use by another client\n.* to make MIG mode effective\.\nAll done\.\n$/,
        );
        expect(modes(machine)).toBe('Disabled, Enabled');
        expect(machine.run('-mig 1 -eow').code).toBe(1);
        expect(machine.run('--gpu-reset')).toMatchObject({ code: 255, stdout: expect.stringContaining('could not be reset') });
      }
      expect(machine.run('--gpu-reset')).toMatchObject({ code: 0, stdout: expect.stringContaining('was successfully reset.') });
      expect(modes(machine)).toBe('Enabled, Enabled');
    });
  }

  it('counts another nvidia-smi in flight as a client where a reset is needed', async () => {
    using machine = new SimulatedMachine({ model: 'a30-24gb' });
    machine.setFaults({ rules: [{ match: { args: '-L' }, action: { delayMs: 1500 } }] });
    const listing = machine.start('-L');
    await new Promise((resolve) => setTimeout(resolve, 300));

    machine.run('-mig 1');

    expect(modes(machine)).toBe('Disabled, Enabled');
    await listing.ended;
    machine.run('-mig 1');
    expect(modes(machine)).toBe('Enabled, Enabled');
  });

  it('is not possible on a GPU without MIG', () => {
    using machine = new SimulatedMachine({ model: 'l40s' });

    expect(modes(machine)).toBe('[N/A], [N/A]');
    expect(machine.run('-mig 1').stdout).toContain('Not Supported\nTreating as warning and moving on.\nAll done.');
    expect(machine.run('mig -lgip')).toMatchObject({ code: 6, stdout: 'No MIG-supported devices found.\n' });
  });
});

describe('turning MIG off', () => {
  it('is refused while instances live, unless the machine is told to wipe', () => {
    using machine = new SimulatedMachine({ migEnabled: true });
    machine.run('mig -cgi 19');

    expect(machine.run('-mig 0')).toMatchObject({ code: 19, stdout: expect.stringContaining('Unable to disable MIG Mode for GPU') });
    machine.setFaults({ behaviour: { disableMigWithInstances: 'wipe' } });
    expect(machine.run('-mig 0').code).toBe(0);
    expect(machine.state().gpus[0]).toMatchObject({ migCurrent: false, instances: [] });
  });
});

describe('a reboot', () => {
  it('keeps the mode on Ampere, makes a pending one effective, and loses the instances', () => {
    using machine = new SimulatedMachine({ model: 'a100-80gb', gpuCount: 2 });
    machine.setFaults({ rules: [{ match: { gpu: 1 }, action: { gpuBusy: true } }] });
    machine.run('-mig 1');
    machine.run('mig -i 0 -cgi 9 -C');

    rebootMachine(machine.created.directory);

    expect(modes(machine)).toBe('Enabled, Enabled\nEnabled, Enabled');
    expect(machine.run('mig -lgi').code).toBe(6);
  });

  it('forgets the mode on Hopper', () => {
    using machine = new SimulatedMachine({ migEnabled: true });

    rebootMachine(machine.created.directory);

    expect(modes(machine)).toBe('Disabled, Disabled');
  });
});

it('refuses exclusive compute modes under MIG', () => {
  using machine = new SimulatedMachine();

  expect(machine.run('-c EXCLUSIVE_PROCESS').stdout).toMatch(/^Set compute mode to EXCLUSIVE_PROCESS for GPU [0-9A-F:.]+\.\nAll done\.\n$/);
  expect(machine.run('--query-gpu=compute_mode --format=csv,noheader').stdout).toBe('Exclusive_Process\n');
  machine.run('-mig 1');
  expect(machine.run('-c 3').code).toBe(3);
  expect(machine.run('--query-gpu=compute_mode --format=csv,noheader').stdout).toBe('Default\n');
});
