import { describe, expect, it } from 'vitest';
import { SimulatedMachine } from './simulated-machine.ts';

const ids = (machine: SimulatedMachine): readonly number[] => machine.state().gpus[0]?.instances.map(({ id }) => id) ?? [];

describe('a rule', () => {
  it('applies to matching arguments, a counted number of times, after letting some through', () => {
    using machine = new SimulatedMachine();
    machine.setFaults({ rules: [{ match: { args: '/^-L$/' }, afterMatches: 1, times: 2, action: { stdout: 'broken\n', exitCode: 255 } }] });

    const codes = Array.from({ length: 4 }, () => machine.run('-L').code);

    expect(codes).toEqual([0, 255, 255, 0]);
    expect(machine.run('--version').code).toBe(0);
  });

  it('can be meant for one GPU', () => {
    using machine = new SimulatedMachine({ gpuCount: 2 });
    machine.setFaults({ rules: [{ match: { gpu: 1 }, action: { stdout: '', exitCode: 9 } }] });

    expect(machine.run('-i 0 -L').code).toBe(0);
    expect(machine.run('-i 1 -L').code).toBe(9);
    expect(machine.run('-L').code).toBe(9);
  });

  it('spoils an answer the same way for the same seed', () => {
    using machine = new SimulatedMachine({ gpuCount: 4 });
    const good = machine.run('-L').stdout;
    machine.setFaults({ rules: [{ action: { garbage: 7 } }] });
    const spoiled = machine.run('-L').stdout;

    expect(spoiled).not.toBe(good);
    expect(machine.run('-L').stdout).toBe(spoiled);
    machine.setFaults({ rules: [{ action: { truncateBytes: 10 } }] });
    expect(machine.run('-L').stdout).toBe(good.slice(0, 10));
  });

  it('can hang a call so that only SIGKILL ends it', async () => {
    using machine = new SimulatedMachine();
    machine.setFaults({ rules: [{ times: 1, action: { hang: true } }] });
    const { kill, ended } = machine.start('-L');
    await machine.met(1);

    kill('SIGTERM');
    const early = await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 300))]);
    kill('SIGKILL');

    expect(early).toBeUndefined();
    expect(await ended).toMatchObject({ signal: 'SIGKILL' });
  });

  it('can kill a call before or after its change', () => {
    using machine = new SimulatedMachine({ migEnabled: true });
    machine.setFaults({ rules: [{ match: { args: '-cgi' }, action: { killSelf: 'before' } }] });
    expect(machine.run('mig -cgi 19')).toMatchObject({ signal: 'SIGKILL', stdout: '' });
    expect(ids(machine)).toEqual([]);

    machine.setFaults({ rules: [{ match: { args: '-cgi' }, action: { killSelf: 'after' } }] });
    expect(machine.run('mig -cgi 19')).toMatchObject({ signal: 'SIGKILL', stdout: '' });
    expect(ids(machine)).toEqual([13]);
  });

  it('can kill or fail a call between two instances', () => {
    using machine = new SimulatedMachine({ migEnabled: true });
    machine.setFaults({ rules: [{ match: { args: '-cgi' }, action: { dieAfterSteps: 2 } }] });
    expect(machine.run('mig -cgi 19,19,19').signal).toBe('SIGKILL');
    expect(ids(machine)).toEqual([13, 11]);

    machine.setFaults({ rules: [{ action: { failStep: { index: 1, text: 'Unknown Error' } } }] });
    expect(machine.run('mig -cgi 19,19')).toMatchObject({
      code: 255,
      stdout: expect.stringContaining(
        'Unable to create a GPU instance on GPU  0 using profile 19: Unknown Error\nFailed to create GPU instances: Unknown Error\n',
      ),
    });
    expect(ids(machine)).toEqual([13, 11, 12]);
  });
});

describe('a broken machine', () => {
  const texts: readonly (readonly [object, number, string])[] = [
    [{ noDevices: true }, 6, 'No devices were found'],
    [{ driverDown: true }, 9, "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."],
    [{ libraryMismatch: true }, 18, 'Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 590.48'],
  ];
  for (const [faults, code, text] of texts) {
    it(`says "${text.slice(0, 40)}" and ends with ${code}`, () => {
      using machine = new SimulatedMachine();
      machine.setFaults(faults);

      expect(machine.run('-L')).toMatchObject({ code, stdout: expect.stringContaining(text) });
    });
  }

  it('lists the other GPUs beside a lost one, or nothing at all', () => {
    using machine = new SimulatedMachine({ gpuCount: 3 });
    const [, uuid = ''] = machine.created.gpuUuids;
    machine.setFaults({ gpuLost: uuid });
    expect(machine.run('-L').stdout).toMatch(/^GPU 0: .*\nGPU 2: .*\nUnable to determine the device handle for GPU1: .*: Unknown Error\n$/);
    expect(machine.run('-i 2 -L').code).toBe(0);

    machine.setFaults({ gpuLost: { uuid, aborts: true } });
    expect(machine.run('-L')).toMatchObject({ code: 15, stdout: expect.stringMatching(/^Unable to determine .*\n$/) });
  });
});
